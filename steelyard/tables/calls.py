"""From a run to the single calls that figures show: the headline workload in time order, and distributions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from steelyard.analysis.sides import Side, Sides
from steelyard.core.case import Arm
from steelyard.core.result import Place, Result
from steelyard.core.workload import Point
from steelyard.tables.facts import Facts
from steelyard.tables.samples import Calls, Distribution, LaunchCalls, Timeline

METRIC = "latency_s"
MARKS = 2400
"""Calls that a time line draws: more are not told apart on paper, and make the files heavy."""
STEPS = 256
"""Steps of one distribution."""
SLOWEST = 16
"""The slowest calls, all of which a distribution keeps: a tail is made of few."""
POINTS = 8
"""Points whose distributions are kept: as many as a page holds."""

Floats = NDArray[np.float64]


def samples(facts: Facts) -> Calls:
    """The calls of a run, thinned. Work grows with the samples of the points that are shown, not of all."""
    sides = facts.sides
    timeline = _timeline(facts, sides)
    distributions: list[Distribution] = []
    points = 0
    for point in facts.points:
        speedy = [arm for arm in facts.arms if facts.outcome(arm, point).speed and facts.estimate(arm, point, METRIC)]
        points += bool(speedy)
        if speedy and points <= POINTS:
            distributions += [_distribution(facts, sides, arm, point) for arm in speedy]
    return Calls(
        timeline=timeline,
        distributions=tuple(distributions),
        points=points,
        reason="" if timeline or distributions else "no launch gave a steady call",
    )


def thin(values: Floats, room: int) -> NDArray[np.intp]:
    """The places of at most `room` (at least 2) values, ascending: the lowest and the highest of equal stretches."""
    if values.size <= room:
        return np.arange(values.size)
    stretches = np.array_split(np.arange(values.size), max(1, room // 2))
    kept = [(part[values[part].argmin()], part[values[part].argmax()]) for part in stretches]
    return np.unique(np.array(kept, dtype=np.intp))


def _timeline(facts: Facts, sides: Sides) -> Timeline | None:
    if not facts.points:
        return None
    point = facts.points[0]
    arms = [*facts.arms, *((facts.control,) if facts.control is not None else ())]
    measured: list[tuple[Side, Result]] = []
    failed: dict[tuple[str, Place], str] = {}
    for arm in arms:
        side = sides.side(arm, point.key)
        for result in side.results:
            if result.round == 0:
                continue  # the cold round has no timed window
            found = result.measurement(METRIC)
            if result.status not in ("incorrect", "fallback") and found is not None and len(found.samples):
                measured.append((side, result))
            else:
                failed[arm.label, result.place] = result.status
    middles = {arm.label: middle for arm in arms if (middle := _middle(facts, sides, arm, point)) is not None}
    measured = [(side, result) for side, result in measured if side.arm.label in middles]
    if not measured:
        return None
    room = max(4, MARKS // len(measured))
    warm = [[number for number in segment.rounds if number > 0] for segment in facts.run.segments[1:]]
    return Timeline(
        point=facts.label(point),
        arms=tuple(arm.label for arm in arms if arm.label in middles),
        columns=tuple(sorted({result.place for _, result in measured} | {place for _, place in failed})),
        launches=tuple(_calls(side, result, middles[side.arm.label], room) for side, result in measured),
        middles_s=middles,
        contaminated=frozenset(facts.contaminated[point.key]),
        resumed=frozenset(min(rounds) for rounds in warm if rounds),
        failed=failed,
    )


def _middle(facts: Facts, sides: Sides, arm: Arm, point: Point) -> float | None:
    estimate = facts.estimate(arm, point, METRIC)
    return None if estimate is None else estimate.value


def _calls(side: Side, result: Result, middle: float, room: int) -> LaunchCalls:
    measurement = result.measurement(METRIC)
    assert measurement is not None
    values = np.asarray(measurement.samples, dtype=np.float64)
    launched = next((item for item in side.launched(METRIC) if item.place == result.place), None)
    cut = measurement.cut if launched is None else launched.cut
    starts: Floats = np.asarray(measurement.starts_s, dtype=np.float64)
    if starts.size != values.size:
        starts = np.arange(values.size, dtype=np.float64)
    span = float(starts[-1] - starts[0])
    places = (starts - starts[0]) / span if span > 0 else np.zeros(values.size)
    kept = thin(values, room)
    return LaunchCalls(
        arm=result.arm,
        column=result.place,
        position=result.position,
        places=places[kept],
        values_s=values[kept],
        over_middle=values[kept] / middle,
        median=None if launched is None else launched.median / middle,
        warm_up=float(places[cut]) if 0 < cut < values.size else 0.0,
        total=int(values.size),
    )


def _distribution(facts: Facts, sides: Sides, arm: Arm, point: Point) -> Distribution:
    launches = [launch.samples for launch in sides.side(arm, point.key).launched(METRIC)]
    values = np.concatenate(launches)
    weights = np.concatenate([np.full(part.size, 1 / part.size) for part in launches]) / len(launches)
    order = np.argsort(values, kind="stable")
    shares = np.cumsum(weights[order])
    shares[-1] = 1.0
    kept = _steps(shares)
    return Distribution(
        arm=arm.label,
        point=facts.label(point),
        values_s=values[order][kept],
        shares=shares[kept],
        calls=int(values.size),
        launches=len(launches),
    )


def _steps(shares: Sequence[float] | Floats) -> NDArray[np.intp]:
    """The places of the steps that are kept: evenly many of all shares, and the slowest calls."""
    count = len(shares)
    if count <= STEPS:
        return np.arange(count)
    evenly = np.searchsorted(shares, np.linspace(0, 1, STEPS - SLOWEST)).clip(0, count - 1)
    return np.unique(np.concatenate([[0], evenly, np.arange(count - SLOWEST, count)]))
