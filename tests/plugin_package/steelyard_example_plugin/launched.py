"""A section of the report: how many launches each backend had."""

from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Row, Table


def table(facts):
    """A row for each backend."""
    counts = {arm.label: sum(each.arm == arm.label for each in facts.run.launches) for arm in facts.arms}
    return Table(
        name="launched",
        title="Launches of each backend",
        caption="Processes started.",
        columns=(Column(key="backend", title="Backend"), Column(key="count", title="Launches", kind="integer")),
        rows=tuple(Row(cells=(Cell(text=name), Cell(value=count))) for name, count in counts.items()),
        empty="nothing was launched",
    )


SECTION = Section(name="launched", tables={150: table})
