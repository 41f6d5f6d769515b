"""The work of each point as the suite counts it, and what compilers count beside it, each with its origin."""

from steelyard.analysis.work_per_call import TOLERANCE, checks, traffic_bytes
from steelyard.tables.cells import counted
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT, percent
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

_ORIGINS = {
    "torch": "torch, flop counter over the module",
    "xla": "XLA, cost analysis of the unoptimised program",
}


def work_table(facts: Facts) -> Table:
    """One row per point and origin of a count: the suite's own, and what compilers count beside it."""
    foot = Footnotes()
    rows: list[Row] = []
    for point in facts.points:
        lowered = facts.run.manifest.lowered.get(point.key)
        moved = traffic_bytes(point, lowered)
        about = {"point": facts.label(point), "workload": point.workload}
        own = (
            Cell(text=facts.label(point)),
            Cell(text="suite, analytic"),
            counted(point.work.flop, foot, "the suite does not count operations"),
            counted(moved, foot, "the suite does not count weights"),
            Cell(text=ABSENT),
            Cell(text=""),
        )
        rows.append(Row(cells=own, tags=about))
        for check in checks(point, lowered):
            why = check.reason or f"{check.origin} does not count bytes"
            cells = (
                Cell(text=facts.label(point)),
                Cell(text=_ORIGINS.get(check.origin, check.origin)),
                counted(check.flop, foot, why),
                counted(check.bytes, foot, why),
                counted(check.ratio, foot, why),
                Cell(text=check.agreement, flags=("withheld",) if check.agreement == "differs" else ()),
            )
            rows.append(Row(cells=cells, tags=about))
    return Table(
        name="work",
        title="Work counts",
        caption="Work of one call by the suite's formula and by compilers' own counts. The suite's bytes are those "
        "that cannot be avoided; XLA's are what each operation would move by itself, before any fusion.",
        columns=(
            Column(key="point", title="Workload"),
            Column(key="origin", title="Counted by", wide=True),
            Column(key="flop", title="Operations", kind="number", unit="FLOP", shown="GFLOP"),
            Column(key="bytes", title="Bytes", kind="number", unit="B", shown="MiB"),
            Column(key="ratio", title="Over the suite's", kind="number", unit="1"),
            Column(key="agreement", title="Agreement"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=(
            f"A compiler's count agrees within {percent(TOLERANCE)}. Compilers count what a program computes: "
            "attention over the whole cache and over masked places too, and XLA every elementwise operation.",
        ),
        place="detail",
        empty="nothing was planned",
    )


SECTION = Section(name="work", tables={1700: work_table})
