r"""Headline numbers as LaTeX macros, e.g. `\SyInductorDecodeSpeedup`, so that a text never disagrees with the table."""

from collections.abc import Iterable, Iterator

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
    Names that fall together get a further letter, in row order.
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
    taken = {entry.name for entry in entries}
    for table in tables:
        for row in table.rows:
            stem = PREFIX + letters(row.tags["arm"]) + letters(row.tags["point"])
            extra, name = 0, stem
            while any(f"{name}{quantity}" in taken for _, quantity in _TIMES):
                name = stem + letters(chr(ord("A") + extra % 26) * (extra // 26 + 1))
                extra += 1
            for entry in _row(table, row, name):
                taken.add(entry.name)
                entries.append(entry)
    return tuple(entries)


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
