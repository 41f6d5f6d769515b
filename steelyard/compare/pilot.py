"""What the first rounds say about the rest: rounds needed, the smallest effect that can be found, calls per launch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.compare.sides import Side, Sides, metrics_of, sides_of
from steelyard.compare.verdict import MARGIN
from steelyard.compare.within import Pairs, pair
from steelyard.core.comparison import Family
from steelyard.core.run import Run
from steelyard.stats import planning
from steelyard.stats.hodges_lehmann import one_sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What one comparison can be expected to yield.

    `spread` is the standard deviation of the pilot's paired log ratios, `spread_upper` its 80 % upper
    limit. `rounds_needed` reaches the target half-width at the spread as it is; `detectable` is the
    slowdown (0.05 is 5 %) that `rounds` rounds find in 9 of 10 runs at the upper limit; `can_fire`
    whether that many rounds can carry a verdict in a family of this size. None with the reason where
    the pilot has fewer than 2 pairs or the question has no answer. `calls` is the number of calls per
    launch that buys the most precision for the time, None where launches differ no more than calls explain.
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
    rounds: int
    rounds_needed: int | None
    detectable: float | None
    can_fire: bool
    calls: int | None
    reason: str = ""


def pilot(run: Run, *, rounds: int, target: float = 0.02, sides: Sides | None = None) -> tuple[Outlook, ...]:
    """An outlook for every arm but the baseline, at every point and timed metric, for a run of `rounds` warm rounds.

    The control arm is listed too, in a family of one: its half-width is the noise floor to expect. The threshold of
    `detectable` is the larger of the margin and that half-width at its spread as it is.
    """
    sides = sides or sides_of(run)
    found: list[tuple[Family, Pairs, float]] = []
    for key, point in sides.points.items():
        for metric in metrics_of(point):
            pairs = [pair(sides.side(sides.baseline, key), sides.side(arm, key), metric) for arm in sides.arms]
            control = next((item for item in pairs if item.candidate.arm.control), None)
            width = None
            if control is not None and control.spread is not None:
                width = planning.half_width(control.spread, rounds)
            primary = point.workload == run.manifest.headline and metric == "latency_s"
            family: Family = "primary" if primary else "exploratory"
            found += [
                (family, item, max(MARGIN, width or 0.0))
                for item in pairs
                if item.candidate.arm.label != sides.baseline.label
            ]
    sizes = {
        family: sum(kind == family and not item.candidate.arm.control for kind, item, _ in found)
        for family in ("primary", "exploratory")
    }
    return tuple(
        _outlook(item, family, 1 if item.candidate.arm.control else sizes[family], threshold, rounds, target)
        for family, item, threshold in found
    )


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
            interval = one_sample(pairs.log_ratios).interval
            if interval is None:
                return None
            widest = max(widest or 0.0, (interval.high - interval.low) / 2)
    return widest


def _outlook(pairs: Pairs, family: Family, size: int, threshold: float, rounds: int, target: float) -> Outlook:
    side, spread = pairs.candidate, pairs.spread
    upper = None if spread is None else planning.spread_upper(spread, len(pairs.log_ratios))
    reason = ""
    if spread is None:
        reason = side.failures or pairs.baseline.failures or f"{len(pairs.rounds)} of 2 paired rounds"
    return Outlook(
        point=side.key,
        title=side.title,
        metric=pairs.metric,
        arm=side.arm.label,
        family=family,
        family_size=size,
        pairs=len(pairs.rounds),
        spread=spread,
        spread_upper=upper,
        rounds=rounds,
        rounds_needed=None if spread is None else planning.rounds_needed(spread, target),
        detectable=None
        if upper is None
        else planning.minimum_detectable_effect(upper, rounds, threshold=threshold, family=size),
        can_fire=rounds >= planning.rounds_to_fire(size),
        calls=_calls(side, pairs.metric),
        reason=reason,
    )


def _calls(side: Side, metric: str) -> int | None:
    """Calls per launch by the cost model: what a launch costs before its window is its phases."""
    launches = side.launched(metric)
    if metric != "latency_s" or len(launches) < 2:
        return None
    logs = [np.log(np.asarray(launch.samples, dtype=np.float64)) for launch in launches]
    if min(values.size for values in logs) < 2:
        return None
    within = float(np.mean([values.var(ddof=1) for values in logs]))
    between = planning.variance_between(
        float(np.var([values.mean() for values in logs], ddof=1)), within, _harmonic([values.size for values in logs])
    )
    costs = [sum(result.phases.values()) for result in side.quiet if result.status == "ok" and result.round > 0]
    if between <= 0:
        return None
    call = float(np.mean([launch.median for launch in launches]))
    return planning.share_time(between=between, within=within, launch_s=float(np.mean(costs)), call_s=call).calls


def _harmonic(counts: Sequence[int]) -> float:
    return len(counts) / sum(1 / count for count in counts)
