"""Throughput of several requests at a time: by how many there are, and by the batch of each."""

from collections.abc import Sequence

from steelyard.core.case import Arm
from steelyard.core.comparison import Estimate
from steelyard.core.latency_bound import FAR, is_beyond
from steelyard.core.workload import STREAMS, Point
from steelyard.tables import provenance
from steelyard.tables.cells import tags, timed
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT
from steelyard.tables.latency_cells import latency, named
from steelyard.tables.records import rate
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

BATCH, MOST = "batch", "most"


def streams_tables(facts: Facts) -> tuple[Table, ...]:
    """A table of each workload that was asked for with streams."""
    asked = [point for point in facts.points if STREAMS in point.axes]
    names = dict.fromkeys(point.workload for point in asked)
    return tuple(_table(facts, name, [point for point in asked if point.workload == name]) for name in names)


def _table(facts: Facts, workload: str, points: Sequence[Point]) -> Table:
    foot = Footnotes()
    axes = tuple(dict.fromkeys((STREAMS, *facts.varying(points))))
    settings = facts.run.manifest.settings
    bound_s = None if settings is None else settings.latency_bound_s
    rows: list[Row] = []
    used: list[Estimate | None] = []
    for arm in facts.arms:
        estimates = {point.key: found for point in points if (found := _latency(facts, arm, point)) is not None}
        used += estimates.values()
        rates = {point.key: rate(point.work.items, estimates[point.key]) for point in points if point.key in estimates}
        within = [key for key, found in estimates.items() if bound_s is None or found.value <= bound_s]
        most = max(within, key=lambda key: rates[key].value, default="")
        for point in points:
            throughput = rates.get(point.key)
            time, shown = latency(facts, arm, point, foot)
            cells = (
                named(facts, arm, point),
                *(Cell(text=str(point.axes.get(axis, ""))) for axis in axes),
                time if shown else _none(facts, arm, point, foot),
                timed(throughput, foot) if throughput else _none(facts, arm, point, foot),
                Cell(text=_mark(facts, arm, point, shown, bound_s, most)),
            )
            told = {STREAMS: str(point.axes[STREAMS]), BATCH: str(point.axes.get(BATCH, ""))}
            rows.append(Row(cells=cells, tags=tags(facts, arm, point) | told))
    unit = points[0].work.unit
    return Table(
        name=f"streams-{workload}",
        title=f"Throughput of {workload} by streams",
        caption=provenance.caption(
            facts,
            points,
            "A call is as many requests as there are streams, begun at the same time from as many threads; its latency "
            f"is that of the last of them, its throughput all {unit} of the call over that. The requests share the "
            f"threads of the budget. '{MOST}' marks the largest estimate of a backend{_within(bound_s)}, which is no "
            "verdict.",
            used,
        ),
        columns=(
            Column(key="backend", title="Backend"),
            *(Column(key=axis, title=axis.capitalize()) for axis in axes),
            Column(key="latency_s", title="Latency", kind="number", unit="s", shown="ms"),
            Column(key="throughput", title="Throughput", kind="number", unit=f"{unit}/s"),
            Column(key="most", title="Mark"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        conditions=provenance.conditions(facts),
        basis=provenance.basis(used),
    )


def _within(bound_s: float | None) -> str:
    if bound_s is None:
        return ""
    return (
        f" of those whose latency is at most {1e3 * bound_s:g} ms; what took more than {FAR:g} times as long in the "
        "cold round was not launched again"
    )


def _mark(facts: Facts, arm: Arm, point: Point, latency: Estimate | None, bound_s: float | None, most: str) -> str:
    if point.key == most:
        return MOST
    cold = (result for result in facts.results(arm, point) if result.round == 0)
    far = latency is None and any(is_beyond(result.phases, bound_s) for result in cold)
    above = latency is not None and bound_s is not None and latency.value > bound_s
    return "not launched again" if far else "above the bound" if above else ""


def _latency(facts: Facts, arm: Arm, point: Point) -> Estimate | None:
    return facts.estimate(arm, point, "latency_s") if facts.outcome(arm, point).speed else None


def _none(facts: Facts, arm: Arm, point: Point, foot: Footnotes) -> Cell:
    reason = facts.outcome(arm, point).remark or facts.reason(arm, point, "latency_s")
    return Cell(text=ABSENT, notes=(foot.mark(f"{arm.label}: {reason}"),))


SECTION = Section(name="streams", tables={170: streams_tables})
