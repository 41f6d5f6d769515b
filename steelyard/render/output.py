"""What a report is: a name and a `write`. A report prints what it is given and adds no numbers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from steelyard.core.errors import SteelyardError, UsageError
from steelyard.render.drawing import Picture
from steelyard.render.layout import Room
from steelyard.tables.cases import Cases
from steelyard.tables.records import Records, missing
from steelyard.tables.table import ReportData, Table

Kind = Literal["tables", "figures", "export"]


def _silent(_: str) -> None:
    """Where nobody listens, a remark is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInputs:
    """What `write` gets. `pictures` is empty unless a report of this batch asked for figures;
    `figures_beside` says that `figures/` is written into the same directory, so that links to it hold; `room` is what a
    page holds of tables, for a format that goes into somebody's paper.

    `records` are the cases of the run, or of several runs in the order of time, for exports; empty unless a
    report of this batch is one. `cases` tells them one by one, for a report that asks for `details`. `remark` takes
    a line for the reader that has no place in the files, such as what a format could not hold.
    """

    data: ReportData
    pictures: tuple[Picture, ...] = ()
    figures_beside: bool = False
    room: Room = field(default_factory=Room)
    records: tuple[Records, ...] = ()
    cases: Cases = field(default_factory=Cases)
    remark: Callable[[str], None] = _silent

    def of_one_run(self, name: str) -> Records:
        """The records of the one run that the export `name` writes. Raises UsageError where there are several."""
        if len(self.records) != 1:
            raise UsageError(f"the format {name} holds one run, not {len(self.records)}; name one run")
        return self.records[0]

    def measured(self, name: str) -> Records:
        """The same, with a remark on the cases that have no latency."""
        run = self.of_one_run(name)
        if told := missing(run.cases, "latency_s"):
            self.remark(f"{name}: {told}")
        return run


class Report(Protocol):
    """One file of `reports/` exports such an object as `REPORT`. `draws` says whether it needs the pictures.

    A report may also say its `kind`: `tables` (what is meant where it says nothing) prints the tables of any data;
    `figures` shows one run; an `export` writes the records of runs for another tool, and only when it is named.
    One with `details = True` is also given the cases one by one.
    """

    name: str
    draws: bool

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write the files below `directory`, which exists, and return them."""


def kind(report: Report) -> Kind:
    """Which kind of report it is; reports of other packages need not say it."""
    found: Kind = getattr(report, "kind", "tables")
    return found


def details(report: Report) -> bool:
    """Whether it shows cases one by one; reports of other packages need not say so."""
    return bool(getattr(report, "details", False))


def json_text(value: Any) -> str:
    """A JSON document as text; a number that is not finite is an error and never written."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def save(path: Path, content: str | bytes) -> Path:
    """Write one file (UTF-8, `\\n`), folders included. Raises SteelyardError saying what stood in the way."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise SteelyardError(
            f"{path}: cannot be written: {error.strerror}; give another directory with --output"
        ) from error
    return path


SECTIONS: Mapping[str, str] = {"main": "Results", "detail": "Evidence"}
"""Headings of the printed sections; tables placed `data` go to CSV and figures only."""


def printed(data: ReportData) -> tuple[tuple[str, tuple[Table, ...]], ...]:
    """The tables that reports print, by section, in order."""
    return tuple(
        (title, tuple(table for table in data.tables if table.place == place)) for place, title in SECTIONS.items()
    )
