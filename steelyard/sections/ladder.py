"""What each step of a ladder of backends brought: every rung over the one before it, and over the first."""

from collections.abc import Sequence

from steelyard.core.ladder import axis_of
from steelyard.tables import provenance
from steelyard.tables.cells import tags
from steelyard.tables.facts import Facts
from steelyard.tables.format import TIMES
from steelyard.tables.latency_cells import latency, named
from steelyard.tables.pairs import Pairs, pairs, ratio
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table


def ladder_tables(facts: Facts) -> tuple[Table, ...]:
    """A table for each ladder of backends that was asked for."""
    settings = facts.run.manifest.settings
    if settings is None or not settings.ladders:
        return ()
    of_backends = [(n, rungs) for n, rungs in enumerate(settings.ladders, start=1) if axis_of(rungs) is None]
    found = pairs(facts) if of_backends else {}
    return tuple(_table(facts, rungs, found, f"ladder-{n}") for n, rungs in of_backends)


def _table(facts: Facts, rungs: Sequence[str], found: Pairs, name: str) -> Table:
    foot = Footnotes()
    arms = {arm.label: arm for arm in facts.arms}
    reasons = {entry.backend: entry.reason for entry in facts.run.manifest.left_out if not entry.point}
    climbed = [rung for rung in rungs if rung in arms]
    several = len(facts.points) > 1
    rows, estimates = [], []
    for point in facts.points:
        before = ""
        for rung in climbed:
            arm = arms[rung]
            time, estimate = latency(facts, arm, point, foot)
            shown = estimate is not None
            estimates.append(estimate)
            head = (Cell(text=facts.label(point)),) if several else ()
            step = found.get((before, rung, point.key))
            whole = found.get((climbed[0], rung, point.key))
            verdict = step.verdict if step else "first rung" if rung == climbed[0] else "no number"
            cells = (
                *(*head, named(facts, arm, point), time),
                *(ratio(step, foot, shown), Cell(text=verdict), ratio(whole, foot, shown)),
            )
            rows.append(Row(cells=cells, tags=tags(facts, arm, point) | {"verdict": verdict, "before": before}))
            before = rung if shown else before
    notes = [
        f"{rung} is left out: {reasons.get(rung, 'it is no part of the run')}." for rung in rungs if rung not in arms
    ]
    return Table(
        name=name,
        title=f"Ladder from {rungs[0]} to {rungs[-1]}",
        caption=provenance.caption(
            facts,
            facts.points,
            "Each step over the rung before it that has a time, and over the first, from paired rounds; above 1 is "
            f"faster. Steps from or to {facts.run.manifest.baseline} are the run's own comparisons, the others belong "
            "to the exploratory family of all pairs.",
            estimates,
        ),
        columns=(
            *((Column(key="point", title="Workload"),) if several else ()),
            Column(key="backend", title="Rung"),
            Column(key="latency_s", title="Latency", kind="number", unit="s", shown="ms"),
            Column(key="step", title="Step", kind="number", unit="1", shown=TIMES),
            Column(key="verdict", title="Verdict"),
            Column(key="whole", title="In all", kind="number", unit="1", shown=TIMES),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=tuple(notes),
        conditions=provenance.conditions(facts),
        empty="no rung of the ladder can run here",
        basis=provenance.basis(estimates),
    )


SECTION = Section(name="ladder", tables={150: ladder_tables})
