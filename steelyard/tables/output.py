"""What a report is: a name and a `write`. A report prints what it is given and adds no numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from steelyard.core.errors import SteelyardError
from steelyard.tables.drawing import Picture
from steelyard.tables.table import ReportData, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInputs:
    """What `write` gets. `pictures` is empty unless a report of this batch asked for figures;
    `figures_beside` says that `figures/` is written into the same directory, so that links to it hold."""

    data: ReportData
    pictures: tuple[Picture, ...] = ()
    figures_beside: bool = False


class Report(Protocol):
    """One file of `reports/` exports such an object as `REPORT`. `draws` says whether it needs the pictures."""

    name: str
    draws: bool

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write the files below `directory`, which exists, and return them."""


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
