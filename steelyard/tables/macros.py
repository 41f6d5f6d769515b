r"""Headline numbers as LaTeX macros, e.g. `\SyInductorDecodeSpeedup`, so that a text never disagrees with the table."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count

from steelyard.tables.format import TIMES, level, shown
from steelyard.tables.latex import letters
from steelyard.tables.table import Macro, Row, Table

PREFIX = "Sy"

_TIMES = (("latency_s", "Latency"), ("throughput", "Throughput"), ("speedup", "Speedup"))


def macros(
    run_id: str, device: str, baseline: str, launches: int, tables: Iterable[Table], digest: str | None = None
) -> tuple[Macro, ...]:
    """Macros of the run and of every row of the speed tables.

    A name is `Sy`, the backend, the workload with the axes that vary, and the quantity; digits are spelt out.
    """
    entries = [
        Macro(name=f"{PREFIX}Run", text=run_id, meaning="the run"),
        Macro(name=f"{PREFIX}Device", text=device, meaning="the device"),
        Macro(name=f"{PREFIX}Baseline", text=baseline, meaning="the baseline of all speed-ups"),
        Macro(name=f"{PREFIX}Launches", text=str(launches), meaning="launches in all"),
    ]
    if digest is not None:
        meaning = "the digest of the run, for bench verify --digest"
        entries.append(Macro(name=f"{PREFIX}RunDigest", text=digest, meaning=meaning))
    rows = [(table, row) for table in tables for row in table.rows]
    stems = _stems([(row.tags["arm"], row.tags["point"]) for _, row in rows])
    for table, row in rows:
        entries += _row(table, row, stems[row.tags["arm"], row.tags["point"]])
    return tuple(entries)


def _stems(rows: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """What the names of each row (backend, point) begin with.

    Where several rows have the same letters, each of them gets some of the digest of its own names, the first one
    too. So a name never comes to mean another row because a backend was added or the order changed: a text that
    used the plain one no longer compiles.
    """
    alike: dict[str, list[tuple[str, str]]] = {}
    for arm, point in dict.fromkeys(rows):
        alike.setdefault(PREFIX + letters(arm) + letters(point), []).append((arm, point))
    found: dict[tuple[str, str], str] = {}
    for stem, those in alike.items():
        if len(those) == 1:
            found[those[0]] = stem
            continue
        whole = [stem + _digest(*names) for names in those]
        cut = ([each[: len(stem) + length] for each in whole] for length in count(3))
        found |= zip(those, next(each for each in cut if len(set(each) - set(alike)) == len(those)), strict=True)
    return found


def _digest(arm: str, point: str) -> str:
    """The digest of a row's names in letters, A to P for the 16 digits, the first of them large."""
    digits = hashlib.sha256(f"{arm}\0{point}".encode()).hexdigest()
    return "".join(chr(ord("a") + int(digit, 16)) for digit in digits).capitalize()


def _row(table: Table, row: Row, stem: str) -> Iterator[Macro]:
    about = f"{row.tags['arm']}, {row.tags['point']}"
    for key, quantity in _TIMES:
        column, cell = table.columns[table.index(key)], table.cell(row, key)
        unit = "" if column.shown == TIMES else f" [{column.shown or column.unit}]"
        name, title = f"{stem}{quantity}", f"{column.title.lower()} of {about}{unit}"
        if cell.value is None:
            baseline = "baseline" in table.cell(row, "backend").flags and cell.text.startswith("1")
            yield Macro(name=name, text="1" if baseline else "not measured", meaning=title)
            continue
        printed = shown(cell, column)
        yield Macro(name=name, text=printed.main, meaning=title)
        if cell.interval is not None:
            low, _, high = printed.interval.strip("[]").partition(", ")
            yield Macro(name=f"{name}Low", text=low, meaning=f"{title}, lower end, {level(cell.interval)} interval")
            yield Macro(name=f"{name}High", text=high, meaning=f"{title}, upper end, {level(cell.interval)} interval")
    yield Macro(name=f"{stem}Verdict", text=table.cell(row, "verdict").text, meaning=f"verdict on {about}")
