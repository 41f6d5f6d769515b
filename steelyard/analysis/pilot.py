"""What the first rounds say about the rest: rounds needed, minimum detectable effect, calls per launch."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from steelyard.analysis.sides import Side, Sides, sides_of
from steelyard.analysis.verdict import MARGIN
from steelyard.analysis.within import Pairs, pair, summarise_pairs
from steelyard.core.comparison import Family
from steelyard.core.run import Run
from steelyard.measure.driver import metrics_of
from steelyard.stats import planning
from steelyard.stats.alike import alike
from steelyard.stats.few import paired

LATENCY = "latency_s"


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectableEffect:
    """The minimum detectable effect of one comparison, and what it rests on.

    `spread` is the standard deviation of the pilot's paired log ratios, `spread_upper` its 90 % upper limit.
    `rounds_needed` reaches the target half-width at the spread as it is; `detectable` is that effect, the slowdown
    (0.05 is 5 %) that `rounds` rounds are promised to find in 9 of 10 runs, given what was `seen` in earlier runs;
    `can_fire` whether that many rounds can carry a verdict in a family of this size. None with the reason where the
    pilot has fewer than 2 pairs or the question has no answer; nothing is promised either where all launches
    of a side were without a steady state, for then a verdict depends on how far they range, not on the spread alone.
    `calls` is the number of calls per launch that buys the most precision for the time, None where launches differ no
    more than calls explain.
    """

    point: str
    title: str
    metric: str
    arm: str
    family: Family
    family_size: int
    pairs: int
    spread: float | None
    spread_upper: float | None
    seen: planning.EarlierNoise | None = None
    rounds: int
    rounds_needed: int | None
    detectable: float | None
    can_fire: bool
    calls: int | None
    reason: str = ""


def pilot(
    run: Run,
    *,
    rounds: int,
    target: float = 0.02,
    sides: Sides | None = None,
    seen: Mapping[tuple[str, str], planning.EarlierNoise] = MappingProxyType({}),
) -> tuple[DetectableEffect, ...]:
    """The effect for every arm but the baseline, at every point and timed metric, for a run of `rounds` warm rounds.

    The control arm is listed too, in a family of one: its half-width is the noise floor to expect. `seen` is the
    noise of earlier runs by point key and metric, made of what `control_spreads` finds in them.
    """
    sides = sides or sides_of(run)
    every = [
        pair(sides.side(sides.baseline, key), sides.side(arm, key), metric)
        for key, point in sides.points.items()
        for metric in metrics_of(point)
        for arm in sides.arms
        if arm.label != sides.baseline.label
    ]
    spreads = [weight.spread for weight in summarise_pairs(every)]
    moments = _moments(pairs.candidate for pairs in every if pairs.metric == LATENCY)
    controls = {
        (pairs.candidate.key, pairs.metric): (spread, len(pairs.log_ratios))
        for pairs, spread in zip(every, spreads, strict=True)
        if pairs.candidate.arm == sides.control
    }
    pooled = _pooled(every, spreads)
    families = [_family(run, pairs) for pairs in every]
    sizes = Counter(family for pairs, family in zip(every, families, strict=True) if not pairs.candidate.arm.control)
    return tuple(
        _detectable_effect(
            pairs,
            spread,
            family,
            1 if pairs.candidate.arm.control else sizes[family],
            controls.get((pairs.candidate.key, pairs.metric), (None, 0)),
            rounds,
            target,
            seen=seen.get((pairs.candidate.key, pairs.metric)),
            pooled=None if pairs.candidate.arm.control else pooled.get((pairs.candidate.key, pairs.metric)),
            calls=_calls(pairs.candidate, moments) if pairs.metric == LATENCY else None,
        )
        for pairs, spread, family in zip(every, spreads, families, strict=True)
    )


def control_spreads(run: Run) -> dict[tuple[str, str], float]:
    """The standard deviation of the control arm's paired log ratios, by point key and timed metric.

    Only where there are as many pairs as a verdict needs.
    """
    sides = sides_of(run)
    if sides.control is None:
        return {}
    every = [
        pair(sides.side(sides.baseline, key), sides.side(sides.control, key), metric)
        for key, point in sides.points.items()
        for metric in metrics_of(point)
    ]
    return {
        (pairs.candidate.key, pairs.metric): weight.spread
        for pairs, weight in zip(every, summarise_pairs(every), strict=True)
        if weight.spread is not None and len(pairs.rounds) >= planning.MINIMUM_ROUNDS
    }


def widest_half_width(run: Run) -> float | None:
    """The widest half-width, as a fraction, of the 95 % intervals of the primary comparisons so far.

    This is all that the stopping rule sees: no ratio, no verdict. A backend without any pair keeps no
    run going; None where one has too few pairs for an interval, or none has any.
    """
    sides = sides_of(run)
    widest: float | None = None
    for key, point in sides.points.items():
        for arm in sides.arms:
            if point.workload != run.manifest.headline or arm.control or arm.label == sides.baseline.label:
                continue
            pairs = pair(sides.side(sides.baseline, key), sides.side(arm, key), "latency_s")
            if not pairs.rounds:
                continue
            interval = paired(pairs.log_ratios).estimate().interval
            if interval is None:
                return None
            widest = max(widest or 0.0, (interval.high - interval.low) / 2)
    return widest


def _pooled(every: Sequence[Pairs], spreads: Sequence[float | None]) -> dict[tuple[str, str], planning.Pooled]:
    """By point key and metric the spread of all candidates together."""
    found: dict[tuple[str, str], list[float]] = {}
    for pairs, spread in zip(every, spreads, strict=True):
        if spread is not None and not pairs.candidate.arm.control:
            found.setdefault((pairs.candidate.key, pairs.metric), []).append(spread)
    return {
        name: planning.Pooled(spread=float(np.sqrt(np.mean(np.square(values)))), arms=len(values))
        for name, values in found.items()
    }


def _family(run: Run, pairs: Pairs) -> Family:
    primary = pairs.candidate.point.workload == run.manifest.headline and pairs.metric == LATENCY
    return "primary" if primary else "exploratory"


def _detectable_effect(
    pairs: Pairs,
    spread: float | None,
    family: Family,
    size: int,
    control: tuple[float | None, int],
    rounds: int,
    target: float,
    *,
    seen: planning.EarlierNoise | None,
    pooled: planning.Pooled | None,
    calls: int | None,
) -> DetectableEffect:
    side = pairs.candidate
    count = len(pairs.log_ratios)
    can_fire = rounds >= planning.rounds_to_fire(size)
    reason = _no_promise(pairs, spread, control[0])
    if not (reason or can_fire):
        reason = f"too few rounds for a verdict among {size} comparisons"
    return DetectableEffect(
        point=side.key,
        title=side.title,
        metric=pairs.metric,
        arm=side.arm.label,
        family=family,
        family_size=size,
        pairs=len(pairs.rounds),
        spread=spread,
        spread_upper=None if spread is None else planning.spread_upper(spread, count),
        seen=seen,
        rounds=rounds,
        rounds_needed=None if spread is None else planning.rounds_needed(spread, target),
        detectable=None
        if reason or spread is None
        else planning.promised_effect(
            spread,
            control[0],
            pairs=count,
            control_pairs=control[1],
            rounds=rounds,
            margin=MARGIN,
            family=size,
            seen=seen,
            pooled=pooled,
        ),
        can_fire=can_fire,
        calls=calls,
        reason=reason,
    )


def _no_promise(pairs: Pairs, spread: float | None, control: float | None) -> str:
    """Why a pilot cannot say which slowdown would be found, or empty."""
    sides = (pairs.candidate, pairs.baseline)
    if spread is None:
        told = next((text for side in sides if (text := side.failures)), "")
        return told or f"{len(pairs.rounds)} of 2 paired rounds"
    if control is None:
        return "without pairs of the control arm there is no noise floor, and without it no verdict"
    unsteady = (side.unsteady(pairs.timed, pairs.places) for side in sides)
    return "; ".join(side.text for side in unsteady if side.too_many)


class _Moments(NamedTuple):
    """Of the logarithms of one launch's latencies."""

    mean: float
    variance: float


def _moments(sides: Iterable[Side]) -> dict[tuple[str, str], list[_Moments]]:
    """The moments of each launch by (arm, point key) in the order of `launched`; NaN variance for a single call."""
    names: list[tuple[str, str]] = []
    samples: list[NDArray[np.float64]] = []
    for side in sides:
        launches = side.launched(LATENCY)
        names += [(side.arm.label, side.key)] * len(launches)
        samples += [launch.samples for launch in launches]
    columns = np.full((2, len(samples)), np.nan)
    for places, rows in alike(samples):
        logs = np.log(rows)
        columns[0, places] = logs.mean(axis=1)
        if rows.shape[1] > 1:
            columns[1, places] = logs.var(axis=1, ddof=1)
    found: dict[tuple[str, str], list[_Moments]] = {}
    for name, mean, variance in zip(names, *columns.tolist(), strict=True):
        found.setdefault(name, []).append(_Moments(mean, variance))
    return found


def _calls(side: Side, moments: Mapping[tuple[str, str], Sequence[_Moments]]) -> int | None:
    """Calls per launch by the cost model: what a launch costs before its window is its phases."""
    launches = side.launched(LATENCY)
    if len(launches) < 2 or min(launch.samples.size for launch in launches) < 2:
        return None
    found = moments[side.arm.label, side.key]
    within = float(np.mean([launch.variance for launch in found]))
    between = planning.variance_between(
        float(np.var([launch.mean for launch in found], ddof=1)),
        within,
        _harmonic([launch.samples.size for launch in launches]),
    )
    costs = [sum(result.phases.values()) for result in side.quiet if result.status == "ok" and result.round > 0]
    if between <= 0:
        return None
    call = float(np.mean([launch.median for launch in launches]))
    return planning.share_time(between=between, within=within, launch_s=float(np.mean(costs)), call_s=call)


def _harmonic(counts: Sequence[int]) -> float:
    return len(counts) / sum(1 / count for count in counts)
