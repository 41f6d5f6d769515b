"""What each arm measured at each point: one value per launch, and what stands in the way of using it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steelyard.analysis.left_out import left_out
from steelyard.core.case import Arm
from steelyard.core.result import Measurement, Place, Result, Steady
from steelyard.core.run import Run
from steelyard.core.workload import Point
from steelyard.measure.driver import metrics_of
from steelyard.measure.steady import aligned_cut, place_of, settled
from steelyard.stats.alike import alike
from steelyard.stats.spread import middles

UNSTEADY: tuple[Steady, ...] = ("slowed", "cyclic", "none")
PARTS = 8
"""Into so many equal parts a window without a steady state is divided to see over which levels it ranges."""
UNSTEADY_SHARE = 0.25
"""So large a share of launches may be without a steady state by chance: on a shared machine a burst of the host
spoils single launches, and the judge errs now and then. They stay in with all of their samples."""
_RISK = 0.05
TORN = "launched only in a round that was not ended, which does not count"
_WRONG = ("incorrect", "fallback")


@dataclass(frozen=True, slots=True)
class Unsteady:
    """How many launches of a side had no steady state, of how many, and that in words (empty at none)."""

    count: int
    total: int
    text: str

    @property
    def too_many(self) -> bool:
        """Whether chance does not explain them: `count` or more would be seen in at most 5 % of the cases, or in
        every launch, if each launch were unsteady with a chance of UNSTEADY_SHARE (binomial): 5 of 8, 9 of 20."""
        return self.count > 0 and (self.count == self.total or self.count >= _too_many(self.total))


@cache
def _too_many(total: int) -> int:
    """The least count whose binomial tail is at most the risk."""
    tail = 0.0
    for count in range(total, -1, -1):
        tail += comb(total, count) * UNSTEADY_SHARE**count * (1 - UNSTEADY_SHARE) ** (total - count)
        if tail > _RISK:
            return count + 1
    return 0


class Launched(NamedTuple):
    """One launch's steady samples of one metric: their median, and the measurement they come from.

    `cut` is the measurement's own, or for `too_short` the one found from all launches aligned; `samples` are
    those after it, without the first calls of turns.
    """

    place: Place
    median: float
    cut: int
    measurement: Measurement
    samples: NDArray[np.float64]

    @property
    def levels(self) -> tuple[float, float]:
        """The lowest and the highest level that the launch may stand for: its median where it is steady, else the
        extremes of the medians of the eighths of its window."""
        if self.measurement.steady not in UNSTEADY:
            return self.median, self.median
        parts = [median(part) for part in np.array_split(self.samples, PARTS) if part.size]
        return min(parts), max(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One arm at one point: its results in whole rounds, and the `reason` why there are none where that is known.

    `key` and `title` are the point's. `contaminated` are the rounds whose times do not count; what a launch of them
    says of correctness and failure does. `withheld` is why no verdict is given on what is left.
    """

    arm: Arm
    point: Point
    key: str
    title: str
    results: tuple[Result, ...]
    reason: str = ""
    contaminated: frozenset[int] = frozenset()
    withheld: str = ""
    _launched: dict[str, tuple[Launched, ...]] = field(default_factory=dict, repr=False, compare=False)

    def launched(self, metric: str) -> tuple[Launched, ...]:
        """The launches of uncontaminated rounds that ended ok and gave samples of the metric, by round and group."""
        return self._launched.get(metric, ())

    @property
    def quiet(self) -> tuple[Result, ...]:
        """The results whose times count: those of uncontaminated rounds, and of the cold round of each segment, which
        is not repeated where it was contaminated."""
        return tuple(result for result in self.results if result.round == 0 or result.round not in self.contaminated)

    def medians(self, metric: str) -> dict[Place, float]:
        """The launch medians by place."""
        return {launch.place: launch.median for launch in self.launched(metric)}

    @property
    def failures(self) -> str:
        """Every status but ok in one line, e.g. `xla: incorrect in 3 of 9 launches: ...`; empty if there is none."""
        bad: dict[str, list[Result]] = {}
        for result in self.results:
            if result.status != "ok":
                bad.setdefault(result.status, []).append(result)
        if not self.results:
            return f"{self.arm.label}: {self.reason or 'never launched'}"
        total = len(self.results)
        return "; ".join(
            f"{self.arm.label}: {status.replace('_', ' ')} in {len(results)} of {total} "
            f"{'launch' if total == 1 else 'launches'}: {results[0].reason or f'at {results[0].stage}'}"
            for status, results in bad.items()
        )

    @property
    def approximate(self) -> str:
        """In what its answers are no equal work: `xla: approximate in 3 of 9 launches: ...`; empty where they are."""
        found = approximation(self.results)
        return f"{self.arm.label}: {found}" if found else ""

    @property
    def wrong(self) -> bool:
        """Whether any launch gave a wrong answer or ran elsewhere: then the side has no speed."""
        return any(result.status in _WRONG for result in self.results)

    def classes(self, metric: str, places: Iterable[Place] | None = None) -> Counter[str]:
        """How many of the launches (of these places) were flat, warmed, ..."""
        wanted = None if places is None else set(places)
        return Counter(
            launch.measurement.steady for launch in self.launched(metric) if wanted is None or launch.place in wanted
        )

    def unsteady(self, metric: str, places: Iterable[Place]) -> Unsteady:
        """The launches of these places without a steady state."""
        classes = self.classes(metric, places)
        total, bad = classes.total(), {name: classes[name] for name in UNSTEADY if classes[name]}
        count = sum(bad.values())
        if not count:
            return Unsteady(0, total, "")
        kinds = ", ".join(f"{number} {name}" for name, number in bad.items())
        return Unsteady(count, total, f"{self.arm.label}: {count} of {total} launches not steady ({kinds})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """A run by point and arm. `points` are in the plan's order."""

    points: Mapping[str, Point]
    arms: tuple[Arm, ...]
    baseline: Arm
    _sides: Mapping[tuple[str, str], Side]

    def side(self, arm: Arm, point: str) -> Side:
        """One arm at a point (its key); an arm that was never launched there has a side without results."""
        return self._sides[arm.label, point]

    @property
    def control(self) -> Arm | None:
        """The control arm, if the run has one."""
        return next((arm for arm in self.arms if arm.control), None)


def sides_of(run: Run) -> Sides:
    """Index a run. Results of rounds that no segment counts as whole are left out: they give no pairs."""
    manifest = run.manifest
    whole = {number for segment in run.segments for number in segment.rounds}
    aside = left_out(run)
    points: dict[str, Point] = {}
    keys: dict[str, str] = {}
    for case in manifest.cases:
        keys[case.id] = key = case.point.key
        points.setdefault(key, case.point)
    found: dict[tuple[str, str], list[Result]] = {}
    for result in run.results:
        if result.round in whole and result.case_id in keys:
            found.setdefault((result.arm, keys[result.case_id]), []).append(result)
    ran = {(result.arm, keys[result.case_id]) for result in run.results if result.case_id in keys}
    arms = {arm.label: arm for arm in manifest.arms}
    titles = {key: point.title for key, point in points.items()}
    sides = {}
    for label, arm in arms.items():
        for key, point in points.items():
            results = tuple(sorted(found.get((label, key), ()), key=lambda result: (result.place, result.launch)))
            reasons = [
                left.reason
                for left in manifest.left_out
                if left.backend in (label, arm.backend.text) and left.point in ("", key, titles[key])
            ]
            sides[label, key] = Side(
                arm=arm,
                point=point,
                key=key,
                title=titles[key],
                results=results,
                reason="; ".join(reasons) or (TORN if (label, key) in ran else ""),
                contaminated=aside[label, key].rounds,
                withheld=aside[label, key].withheld,
            )
    _launch(sides.values())
    return Sides(points=points, arms=tuple(manifest.arms), baseline=arms[manifest.baseline], _sides=sides)


def approximation(results: Sequence[Result]) -> str:
    """What marks those of the results that are ok and no equal work, in words; empty where none is marked."""
    right = [result for result in results if result.status == "ok"]
    marked = [result.approximate for result in right if result.approximate]
    if not marked:
        return ""
    share = f" in {len(marked)} of {len(right)} launches" if len(marked) < len(right) else ""
    return f"approximate{share}: {marked[0]}"


def median(values: ArrayLike) -> float:
    """The median of a non-empty sequence (numpy's costs several times as much for a few dozen values)."""
    return float(middles(np.sort(np.asarray(values, dtype=np.float64))))


def _taken(results: Sequence[Result], metric: str) -> list[tuple[Place, Measurement, int]]:
    """The measurements of launches that count, by place, each with its cut."""
    measured = [
        (result.place, measurement)
        for result in results
        if result.status == "ok"
        and result.round > 0
        and (measurement := result.measurement(metric)) is not None
        and len(measurement.samples)
    ]
    short = [_settled(measurement) for _, measurement in measured if measurement.steady == "too_short"]
    common = aligned_cut(short) if short else 0
    return [
        (
            place,
            measurement,
            place_of(common, settled(len(measurement.samples), measurement.turns))
            if measurement.steady == "too_short"
            else measurement.cut,
        )
        for place, measurement in measured
    ]


def _settled(measurement: Measurement, cut: int = 0) -> NDArray[np.float64]:
    """The samples from the cut on, without the first calls of turns."""
    values = np.asarray(measurement.samples, dtype=np.float64)
    if not measurement.turns:
        return values[cut:]
    kept = settled(len(values), measurement.turns)
    return values[kept[kept >= cut]]


def _launch(sides: Iterable[Side]) -> None:
    """Find the medians of all launches of all sides: those with equally many steady samples are sorted together."""
    taken = {
        (side.arm.label, side.key, metric): (side, _taken(side.quiet, metric))
        for side in sides
        for metric in metrics_of(side.point)
    }
    samples = [_settled(measurement, cut) for _, launches in taken.values() for _, measurement, cut in launches]
    medians = [0.0] * len(samples)
    for places, rows in alike(samples):
        rows.sort(axis=1)
        for place, value in zip(places, middles(rows).tolist(), strict=True):
            medians[place] = value
    found = iter(zip(medians, samples, strict=True))
    for (_, _, metric), (side, launches) in taken.items():
        side._launched[metric] = tuple(
            Launched(place, median_, cut, measurement, steady)
            for (place, measurement, cut), (median_, steady) in zip(launches, found, strict=False)  # launches end it
        )
