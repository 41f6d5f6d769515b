"""The stage `vendor`: our numbers against the vendors' own tools, and our path against each runtime's native one."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.calibration.rates import table

FILES: Mapping[str, str] = {
    "agreement.json": "Agreement with the vendors' tools",
    "path_tax.json": "What our path costs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The content of agreement.json and path_tax.json: one table as text, with what must be said of it."""

    machine: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def section(data: Tables) -> list[str]:
    """The Markdown lines; without a heading."""
    return [
        f"{data.machine}.",
        "",
        *(line for note in data.notes for line in (note, "")),
        *table(data.columns, data.rows),
    ]
