"""What a number of calls costs, start-up included, against the baseline: where a compiler has made good its start."""

import math

from steelyard.core.case import Arm
from steelyard.core.workload import Point
from steelyard.tables import provenance
from steelyard.tables.cells import tags
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT, TIMES
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Row, Table

STEPS_PER_DECADE = 12
LEAST_CALLS = 1e3
MOST_CALLS = 1e9


def amortised_table(facts: Facts) -> Table:
    """Of the point at which most backends have both a warm start and a latency, the first among equals: a row per
    backend and count of calls. A start is compiling (warm caches) and the first run, as in the break-even."""
    costs = {point.key: _costs(facts, point) for point in facts.points}
    point = max(facts.points, key=lambda point: len(costs[point.key]), default=None)
    rows = []
    if point is not None and len(costs[point.key]) > 1 and facts.arms[0].label in costs[point.key]:
        known = costs[point.key]
        base_start, base_latency = known[facts.arms[0].label]
        crossings = {arm.label: facts.break_even(arm, point, "warm")[0] for arm in facts.arms}
        counts = _counts([value for value in crossings.values() if value])
        for arm in facts.arms:
            if arm.label not in known:
                continue
            start, latency = known[arm.label]
            crossing = crossings[arm.label]
            pays = Cell(value=crossing) if crossing else Cell(text=ABSENT)
            for calls in counts:
                spent, base = start + calls * latency, base_start + calls * base_latency
                cells = (Cell(text=arm.label), Cell(value=calls), Cell(value=spent), Cell(value=spent / base), pays)
                rows.append(Row(cells=cells, tags=tags(facts, arm, point)))
    estimates = [facts.phase(arm, point, "compile_s", "warm") for arm in facts.arms] if point is not None else []
    return Table(
        name="amortised",
        title="Cost of a number of calls",
        caption=f"Time to compile (warm caches), for the first run and for further calls, and the same over that of "
        f"{facts.run.manifest.baseline}.",
        columns=(
            Column(key="backend", title="Backend"),
            Column(key="calls", title="Calls", kind="number", unit="1"),
            Column(key="spent_s", title="Time", kind="number", unit="s"),
            Column(key="over_baseline", title="Over the baseline", kind="number", unit="1", shown=TIMES),
            Column(key="break_even", title="Break-even", kind="number", unit="1"),
        ),
        rows=tuple(rows),
        place="data",
        empty=f"no configuration has a warm start and a latency of {facts.run.manifest.baseline} and of another "
        "backend",
        basis=provenance.basis(estimates),
    )


def _costs(facts: Facts, point: Point) -> dict[str, tuple[float, float]]:
    """Seconds to start and seconds of a call, by arm."""
    found = {}
    for arm in facts.arms:
        parts = [_phase(facts, arm, point, metric) for metric in ("compile_s", "first_run_s")]
        latency = facts.estimate(arm, point, "latency_s")
        if latency is None or not facts.outcome(arm, point).speed:
            continue
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            found[arm.label] = sum(known), latency.value
    return found


def _phase(facts: Facts, arm: Arm, point: Point, metric: str) -> float | None:
    estimate = facts.phase(arm, point, metric, "warm")
    return None if estimate is None else estimate.value


def _counts(crossings: list[float]) -> list[float]:
    """Counts of calls, evenly on a log scale, up to well past the last break-even."""
    farthest = min(MOST_CALLS, max([LEAST_CALLS, *(10 * value for value in crossings)]))
    decades = math.ceil(math.log10(farthest))
    return [10 ** (step / STEPS_PER_DECADE) for step in range(decades * STEPS_PER_DECADE + 1)]


SECTION = Section(name="amortised", tables={3000: amortised_table})
