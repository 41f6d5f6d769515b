"""One number for each backend over all points of a run: the geometric mean of its ratios to the baseline."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from steelyard.analysis.sides import Sides, sides_of
from steelyard.analysis.within import Pairs, approximations, obstacle, pair
from steelyard.core.comparison import Estimate
from steelyard.core.run import Run
from steelyard.stats.geometric_mean import geometric_mean

METRIC = "latency_s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overall:
    """The geometric mean over `points` (keys) of one arm's ratio of latency to the baseline's.

    Every arm's mean is over the same points: those at which all arms have a ratio. `left_out` are the
    titles of the others, each with the reason. `rounds` is the smallest number of paired rounds behind a ratio.
    `ratio` is None, with the `reason`, for an arm without any ratio and where fewer than 2 points are common.
    `approximate` are the titles of the points at which the arm or the baseline did no equal work, each with the reason.
    """

    arm: str
    ratio: Estimate | None
    points: tuple[str, ...]
    rounds: int
    left_out: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    approximate: Mapping[str, str] = field(default_factory=dict)


def overall(run: Run, *, sides: Sides | None = None) -> tuple[Overall, ...]:
    """The mean of every arm but the baseline and the control arm; none for a run of one point, or that timed nothing.

    An arm without a ratio at any point gets no mean and takes no point away from the others.
    """
    sides = sides or sides_of(run)
    if len(sides.points) < 2 or run.untimed:
        return ()
    arms = [arm for arm in sides.arms if not (arm.control or arm.sham or arm.label == sides.baseline.label)]
    paired: dict[str, dict[str, Pairs]] = {arm.label: {} for arm in arms}
    lacking: dict[str, dict[str, str]] = {arm.label: {} for arm in arms}
    for key in sides.points:
        for arm in arms:
            pairs = pair(sides.side(sides.baseline, key), sides.side(arm, key), METRIC)
            blocked = obstacle(pairs.baseline, pairs.candidate, METRIC, bool(pairs.rounds))
            if blocked or not pairs.rounds:
                lacking[arm.label][key] = blocked or f"{arm.label}: no round has steady samples on both sides"
            else:
                paired[arm.label][key] = pairs
    taking_part = [arm.label for arm in arms if paired[arm.label]]
    common = tuple(key for key in sides.points if all(key in paired[label] for label in taking_part))
    reached = set(common)
    left_out = {
        point.title: "; ".join(dict.fromkeys(lacking[label][key] for label in taking_part if key in lacking[label]))
        for key, point in sides.points.items()
        if key not in reached
    }
    return tuple(_mean(arm.label, paired[arm.label], lacking[arm.label], common, left_out) for arm in arms)


def _mean(
    label: str,
    paired: Mapping[str, Pairs],
    lacking: Mapping[str, str],
    common: tuple[str, ...],
    left_out: Mapping[str, str],
) -> Overall:
    if not paired:
        reason = "; ".join(dict.fromkeys(lacking.values()))
        return Overall(arm=label, ratio=None, points=(), rounds=0, reason=reason)
    if len(common) < 2:
        reason = f"all backends completed {len(common)} of {len(common) + len(left_out)} configurations; a mean needs 2"
        return Overall(arm=label, ratio=None, points=common, rounds=0, left_out=left_out, reason=reason)
    log_ratios = {key: dict(zip(paired[key].rounds, paired[key].log_ratios, strict=True)) for key in common}
    return Overall(
        arm=label,
        ratio=geometric_mean(log_ratios, cases=common),
        points=common,
        rounds=min(len(paired[key].rounds) for key in common),
        left_out=left_out,
        approximate={
            paired[key].candidate.title: told
            for key in common
            if (told := approximations((paired[key].baseline, paired[key].candidate)))
        },
    )
