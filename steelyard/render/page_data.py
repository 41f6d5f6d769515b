"""The data of an HTML page as JSON: what its tables print, each text once, a row a line.

`about` are [arm, point, workload, status, device]; a table's row is [about, cell, ...]. A cell is the place of a text,
a printed number, or [main, interval, flags, marks]. Nothing here is scaled or rounded that tables do not print so,
but single calls, which have 4 digits.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from steelyard.tables.cases import CaseDetail, CaseLaunch, Cases
from steelyard.tables.format import TIMES, shown
from steelyard.tables.table import Cell, Column, Row, Table

ABOUT = ("arm", "point", "workload", "status", "device")
_SPEEDUP = Column(key="speedup", title="Speed-up", kind="number", unit="1", shown=TIMES)


class Texts:
    """Texts by their place, each once."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {"": 0}

    def place(self, text: str) -> int:
        """The place of a text, new or known."""
        return self._places.setdefault(text, len(self._places))

    def all(self) -> list[str]:
        """Every text at its place."""
        return list(self._places)


def page_data(tables: Sequence[Table], cases: Cases, baseline: str, rows: Mapping[str, int]) -> str:
    """The JSON text, safe inside a script element. `rows` says of tables that are cut how many rows are taken."""
    texts = Texts()
    about: dict[tuple[int, ...], int] = {}

    def index(tags: Mapping[str, str]) -> int:
        key = tuple(texts.place(tags.get(name, "")) for name in ABOUT)
        return about.setdefault(key, len(about))

    sections: dict[tuple[Any, ...], int] = {}
    parts = {
        "tables": _lines(
            _object(
                {
                    "name": _line(table.name),
                    "notes": _line({note.mark: texts.place(note.text) for note in table.footnotes}),
                    "rows": _lines(_line(_row(table, row, index, texts)) for row in table.rows[: rows.get(table.name)]),
                }
            )
            for table in tables
        ),
        "cases": _lines(_line(_case(detail, texts, sections)) for detail in cases.details),
        "against": _lines(_line(line) for line in _against(cases, texts)),
        "sections": _lines(_line(section) for section in sections),
        "about": _lines(_line(key) for key in about),
        "texts": _lines(_line(text) for text in texts.all()),
        "baseline": _line(baseline),
        "family": _line(cases.family),
    }
    return _escaped(_object(parts))


def _row(table: Table, row: Row, index: Any, texts: Texts) -> list[Any]:
    cells = [_cell(cell, column, texts) for cell, column in zip(row.cells, table.columns, strict=True)]
    return [index(row.tags), *cells]


def _cell(cell: Cell, column: Column, texts: Texts) -> Any:
    print_ = shown(cell, column)
    number = column.numeric and cell.value is not None
    main: Any = print_.main if number else texts.place(print_.main)
    if not (print_.interval or cell.flags or cell.notes):
        return main
    extra = [main, print_.interval, " ".join(cell.flags), ",".join(cell.notes)]
    while not extra[-1]:
        extra.pop()
    return extra


def _case(detail: CaseDetail, texts: Texts, sections: dict[tuple[Any, ...], int]) -> list[Any]:
    """[id, arm, point, status, remark, proof, log, [section, ...], [launch, ...]]"""
    told = []
    for section in detail.sections:
        flat = [(texts.place(f.name), texts.place(f.text), int(f.differs)) for f in section.fields]
        told.append(sections.setdefault((texts.place(section.title), *flat), len(sections)))
    words = (detail.arm, detail.point, detail.status, detail.remark, detail.proof, detail.log_tail)
    return [detail.id, *map(texts.place, words), told, [_launch(launch, texts) for launch in detail.launches]]


def _launch(launch: CaseLaunch, texts: Texts) -> list[Any]:
    """[round, position, calls, warm-up, median, remark, values, places or 0 for all]; times in milliseconds."""
    whole = len(launch.places) == launch.total
    median = None if launch.median_s is None else _digits(launch.median_s)
    head = [launch.round, launch.position, launch.total, launch.cut, median, texts.place(launch.remark)]
    return [*head, [_digits(value) for value in launch.values_s], 0 if whole else list(launch.places)]


def _digits(seconds: float) -> float:
    """Milliseconds with 4 digits."""
    return float(f"{seconds * 1e3:.4g}")


def _against(cases: Cases, texts: Texts) -> Iterator[list[Any]]:
    """[baseline, arm, point, metric, speed-up, interval, verdict, reason]"""
    for key, entry in cases.against.items():
        print_ = shown(entry.speedup, _SPEEDUP)
        number = entry.speedup.value is not None
        main: Any = print_.main if number else texts.place(print_.main)
        yield [*map(texts.place, key), main, print_.interval, texts.place(entry.verdict), texts.place(entry.reason)]


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _lines(items: Iterable[str]) -> str:
    return "[" + "".join(f"{',' if place else ''}\n{item}" for place, item in enumerate(items)) + "\n]"


def _object(parts: Mapping[str, str]) -> str:
    return "{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}"


def _escaped(text: str) -> str:
    """JSON that ends no script element and opens no comment in it, and holds no line ends but its own."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
