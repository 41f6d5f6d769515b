"""What each step along an axis brought a backend: every value over the one before it, and over the first."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from steelyard.analysis.steps import Step, climbs, steps
from steelyard.core.case import Arm
from steelyard.core.comparison import Comparison, Estimate
from steelyard.core.ladder import axis_of
from steelyard.core.workload import Point
from steelyard.tables import provenance
from steelyard.tables.cells import tags
from steelyard.tables.facts import Facts
from steelyard.tables.format import TIMES
from steelyard.tables.latency_cells import latency, named
from steelyard.tables.pairs import ratio
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

Steps = Mapping[Step, Comparison]


def axis_ladder_tables(facts: Facts) -> tuple[Table, ...]:
    """A table for each ladder of values that was asked for."""
    settings = facts.run.manifest.settings
    ladders = () if settings is None else settings.ladders
    return tuple(
        _table(facts, *along, f"ladder-{n}")
        for n, rungs in enumerate(ladders, start=1)
        if (along := axis_of(rungs)) is not None
    )


def _table(facts: Facts, axis: str, values: Sequence[str], name: str) -> Table:
    foot = Footnotes()
    found = steps(facts.run, axis, values, sides=facts.sides)
    climbed = climbs(facts.points, axis, values)
    estimates: list[Estimate | None] = []
    rows = [
        row for climb in climbed for arm in facts.arms for row in _rows(facts, axis, arm, climb, found, foot, estimates)
    ]
    taken = {str(point.axes[axis]) for climb in climbed for point in climb}
    units = ", ".join(dict.fromkeys(point.work.unit for climb in climbed for point in climb))
    return Table(
        name=name,
        title=f"Ladder from {axis}={values[0]} to {axis}={values[-1]}",
        caption=provenance.caption(
            facts,
            [point for climb in climbed for point in climb],
            f"Latency of one call, and of one item of it (of: {units}). Each step is the time of an item over that of "
            "the rung before it that has one, and over that of the first, from paired rounds of one backend; above 1 "
            "is faster. All steps are one exploratory family.",
            estimates,
        ),
        columns=(
            Column(key="point", title="Workload"),
            Column(key="backend", title="Backend"),
            Column(key="rung", title=axis.capitalize()),
            Column(key="latency_s", title="Latency", kind="number", unit="s", shown="ms"),
            Column(key="item_s", title="Latency of an item", kind="number", unit="s", shown="ms"),
            Column(key="step", title="Step", kind="number", unit="1", shown=TIMES),
            Column(key="verdict", title="Verdict"),
            Column(key="whole", title="In all", kind="number", unit="1", shown=TIMES),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=tuple(f"{axis}={value} is left out: no configuration has it." for value in values if value not in taken),
        conditions=provenance.conditions(facts),
        empty=f"no configuration has {axis}",
        basis=provenance.basis(estimates),
    )


def _rows(
    facts: Facts,
    axis: str,
    arm: Arm,
    climb: Sequence[Point],
    found: Steps,
    foot: Footnotes,
    estimates: list[Estimate | None],
) -> list[Row]:
    """A backend at every value; a value without a time is stepped over."""
    rest = [word for word in facts.label(climb[0]).split() if not word.startswith(f"{axis}=")]
    where, before, rows = " ".join(rest), "", []
    for point in climb:
        time, estimate = latency(facts, arm, point, foot)
        shown = estimate is not None
        estimates.append(estimate)
        step = found.get(Step(arm.label, before, point.key))
        whole = found.get(Step(arm.label, climb[0].key, point.key))
        verdict = step.verdict if step else "first rung" if point is climb[0] else "no number"
        rung = str(point.axes[axis])
        cells = (
            *(Cell(text=where), named(facts, arm, point), Cell(text=rung), time, _item(time, point.work.items)),
            *(ratio(step, foot, shown), Cell(text=verdict), ratio(whole, foot, shown)),
        )
        about = {"point": f"{arm.label}, {where}", "arm": f"{axis}={rung}", "backend": arm.label, "verdict": verdict}
        rows.append(Row(cells=cells, tags=tags(facts, arm, point) | about))
        before = point.key if shown else before
    return rows


def _item(time: Cell, items: int) -> Cell:
    """The time of an item."""
    if time.value is None:
        return time
    ends = time.interval
    scaled = None if ends is None else replace(ends, low=ends.low / items, high=ends.high / items)
    return Cell(value=time.value / items, interval=scaled)


SECTION = Section(name="axis-ladder", tables={155: axis_ladder_tables})
