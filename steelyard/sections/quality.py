"""How many answers are right by the suite's own labels, beside the speed, of points that have any."""

from collections.abc import Mapping

from steelyard.core.case import Arm
from steelyard.core.workload import SCORE, SCORED, Point
from steelyard.tables import provenance
from steelyard.tables.cells import tags
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT
from steelyard.tables.latency_cells import latency, named
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table


def quality_table(facts: Facts) -> Table | None:
    """A row for each backend and point with labels; None where no point has any."""
    scored = [point for point in facts.points if SCORED in point.settings]
    if not scored:
        return None
    foot = Footnotes()
    rows, estimates = [], []
    for point in scored:
        for arm in facts.arms:
            time, estimate = latency(facts, arm, point, foot)
            estimates.append(estimate)
            cells = (
                Cell(text=facts.label(point)),
                named(facts, arm, point),
                time,
                *_counts(facts, arm, point, foot),
                Cell(text=str(point.settings[SCORED])),
            )
            rows.append(Row(cells=cells, tags=tags(facts, arm, point)))
    return Table(
        name="quality",
        title="Right answers",
        caption=provenance.caption(
            facts,
            scored,
            "Answers that are right by the suite's labels, over all input sets of a launch, beside the latency, and "
            "how many of the float64 reference are. So few tell a backend that spoils a model; they do not rank "
            "models.",
            estimates,
        ),
        columns=(
            Column(key="point", title="Workload"),
            Column(key="backend", title="Backend"),
            Column(key="latency_s", title="Latency", kind="number", unit="s", shown="ms"),
            Column(key="right", title="Right", kind="number", unit="1", shown="%"),
            Column(key="counts", title="Number"),
            Column(key="reference", title="Reference", kind="number", unit="1", shown="%"),
            Column(key="what", title="Counted"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        conditions=provenance.conditions(facts),
        basis=provenance.basis(estimates),
    )


def _counts(facts: Facts, arm: Arm, point: Point, foot: Footnotes) -> tuple[Cell, Cell, Cell]:
    """The share that is right, the numbers behind it, and the reference's share: of the launch with the fewest."""
    told = (result.details.driver.get(SCORE) for result in facts.results(arm, point))
    found: list[Mapping[str, float]] = [each for each in told if each is not None]
    if not found:
        why = f"{arm.label}, {point.workload}: no launch of it counted any answer"
        return Cell(text=ABSENT, notes=(foot.mark(why),)), Cell(text=ABSENT), Cell(text=ABSENT)
    worst = min(found, key=lambda each: each["right"])
    best = max(each["right"] for each in found)
    notes = (foot.mark(f"up to {best:g} in other launches"),) if best > worst["right"] else ()
    return (
        Cell(value=worst["right"] / worst["of"], notes=notes),
        Cell(text=f"{worst['right']:g} of {worst['of']:g}"),
        Cell(value=worst["reference"] / worst["of"]),
    )


SECTION = Section(name="quality", tables={165: quality_table})
