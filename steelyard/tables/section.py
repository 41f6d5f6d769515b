"""What a section of the report is: functions that make tables of the facts, each with where it stands."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from steelyard import plugins
from steelyard.tables.facts import Facts
from steelyard.tables.table import Table

Made = Table | tuple[Table, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """`tables` are by place: all tables of a report stand in ascending order of it, those of equal places by the name
    of their section. A function that has nothing to say of a run gives None or no table."""

    name: str
    tables: Mapping[int, Callable[[Facts], Made]]


def tables_of(facts: Facts) -> Iterator[Table]:
    """The tables of all sections, in the order in which they are printed."""
    placed = [(place, name, make) for name, each in plugins.sections().items() for place, make in each.tables.items()]
    for _, _, make in sorted(placed, key=lambda entry: entry[:2]):
        made = make(facts)
        yield from () if made is None else (made,) if isinstance(made, Table) else made
