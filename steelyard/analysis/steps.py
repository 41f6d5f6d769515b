"""Steps along an axis: one backend at one value of it against the same backend at another, in the rounds of both."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from steelyard.analysis.sides import Sides, sides_of
from steelyard.analysis.verdict import Question
from steelyard.analysis.withheld import too_noisy, withhold
from steelyard.analysis.within import floor_at, pair, settle, summarise_pairs, undecided
from steelyard.core.comparison import Comparison
from steelyard.core.run import Run
from steelyard.core.workload import Point

METRIC = "latency_s"


class Step(NamedTuple):
    """A backend by its label, and the keys of two points: where it comes from and where it goes."""

    arm: str
    before: str
    after: str


def climbs(points: Sequence[Point], axis: str, values: Sequence[str]) -> tuple[tuple[Point, ...], ...]:
    """Points that agree in everything but the axis, in the order of its values; those without the axis are left out."""
    found: dict[tuple[object, ...], dict[str, Point]] = {}
    for point in points:
        if axis in point.axes:
            rest = tuple((name, str(value)) for name, value in point.axes.items() if name != axis)
            found.setdefault((point.workload, *rest), {})[str(point.axes[axis])] = point
    return tuple(tuple(alike[value] for value in values if value in alike) for alike in found.values())


def steps(run: Run, axis: str, values: Sequence[str], *, sides: Sides | None = None) -> Mapping[Step, Comparison]:
    """Every step from a value to a later one, of every backend but the control arm.

    The ratio is that of the times of an item (of a call over `Work.items`), so that a batch twice as large is not
    slower because it is more. Both points of a step were measured in the same launches, one after the other: they are
    paired by round, under the larger noise floor of the two. All steps are one exploratory family of their own.
    """
    sides = sides or sides_of(run)
    withheld = too_noisy(run)
    asked = [
        (Step(arm.label, before.key, after.key), arm, before, after)
        for climb in climbs(tuple(sides.points.values()), axis, values)
        for arm in sides.arms
        if not arm.control
        for before, after in combinations(climb, 2)
    ]
    every = [
        pair(sides.side(arm, before.key), sides.side(arm, after.key), METRIC, work=after.work.items / before.work.items)
        for _, arm, before, after in asked
    ]
    floors = {point.key: floor_at(sides, point.key, METRIC) for _, _, *ends in asked for point in ends}
    found: list[Comparison] = []
    questions: list[tuple[int, Question]] = []
    for (_, _, before, after), pairs, weight in zip(asked, every, summarise_pairs(every), strict=True):
        ends = [floors[point.key] for point in (before, after)]
        known = [floor for floor in ends if floor is not None]
        floor = max(known) if len(known) == len(ends) else None
        comparison, question = undecided(pairs, floor, "exploratory", weight)
        if question is not None:
            questions.append((len(found), question))
        found.append(comparison)
    settle(found, questions, "exploratory")
    return {
        step: withhold(comparison, withheld or pairs.withheld)
        for (step, *_), comparison, pairs in zip(asked, found, every, strict=True)
    }
