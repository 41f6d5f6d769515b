"""Single instructions of the CPU, as they were measured."""

from steelyard.core.ceilings import INSTRUCTIONS
from steelyard.tables.facts import Facts
from steelyard.tables.instructions import instructions_table
from steelyard.tables.section import Section
from steelyard.tables.table import Table


def measured_instructions(facts: Facts) -> Table | None:
    """The table of the ceilings that the run carries; none where they have no instructions."""
    ceilings = facts.run.manifest.ceilings
    if ceilings is None or all(row.by != INSTRUCTIONS for row in ceilings.rows):
        return None
    return instructions_table(ceilings)


SECTION = Section(name="instructions", tables={1950: measured_instructions})
