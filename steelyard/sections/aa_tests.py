"""How often this machine calls equal programs different, as it was measured on it."""

from steelyard.core.aa_counts import AaRow
from steelyard.tables.aa_words import COMMAND, UNKNOWN, rate, sentence
from steelyard.tables.facts import Facts
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Row, Table

_COLUMNS = {
    "guarded_false_alarms": "False verdicts",
    "false_alarms": "Guard off",
    "alone": "Alone, guard off",
    "withheld": "Withheld",
    "missed": "Interval misses 1",
    "alarmed_runs": "Runs with one",
}


def aa_table(facts: Facts) -> Table:
    """The counts by backend: what identical programs were called."""
    counts = facts.run.manifest.calibration
    rows = [] if counts is None else [_row(row) for row in (*counts.rows, counts.all)]
    caption = "" if counts is None else f" {sentence(counts)}"
    return Table(
        name="aa-comparisons",
        title="A/A comparisons",
        caption="Both sides are the same program, so that every faster or slower is a false verdict; percent with 95 % "
        "intervals, with the noise guard on, and off; alone: if each comparison were the only one of its family; "
        "the plain 95 % interval misses 1; runs with any false verdict; detectable: what half of the comparisons would "
        f"have called alone, guard off.{caption}",
        columns=(
            Column(key="backend", title="Backend"),
            Column(key="runs", title="Runs", kind="integer"),
            Column(key="comparisons", title="Comparisons", kind="integer"),
            *(Column(key=name, title=title) for name, title in _COLUMNS.items()),
            Column(key="detectable", title="Detectable", kind="number", unit="1", shown="%"),
            Column(key="equivalent", title="Equivalent", kind="integer"),
            Column(key="inconclusive", title="Inconclusive", kind="integer"),
        ),
        rows=tuple(rows),
        place="detail",
        empty=f"not measured on this machine: {COMMAND}",
    )


def _row(row: AaRow) -> Row:
    cells = (
        Cell(text=row.backend),
        Cell(value=row.runs),
        Cell(value=row.comparisons),
        *(Cell(text=rate(row.rates[name])) for name in _COLUMNS),
        Cell(value=row.detectable) if row.detectable is not None else Cell(text=UNKNOWN),
        Cell(value=row.equivalent),
        Cell(value=row.inconclusive),
    )
    return Row(cells=cells, tags={"arm": row.backend})


SECTION = Section(name="aa_tests", tables={2300: aa_table})
