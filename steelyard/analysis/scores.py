"""Scores of a backend over all configurations of a run, those that it failed included.

Pass rate; fast_p, the share with right answers and a speed-up above p (KernelBench, arXiv 2502.10517; FlashInfer-Bench
calls the curve win@p); GraphNet's S(t) and ES(t) (arXiv 2510.24035); and how much of the way to the hardware's ceiling
is gone. Shares and means speak of configurations like these; none of them is a verdict.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from steelyard.analysis.sides import TORN, Side, Sides, sides_of
from steelyard.analysis.within import Pairs, approximations, obstacle, pair
from steelyard.core.closeness import LEVELS
from steelyard.core.comparison import Estimate
from steelyard.core.run import Run
from steelyard.stats.geometric_mean import geometric_mean
from steelyard.stats.hodges_lehmann import one_samples
from steelyard.stats.quantile import clopper_pearson

METRIC = "latency_s"

FAILED = 0.1
"""The speed-up that a failed configuration has in S(t): GraphNet's b."""
WRONG_FORGIVEN, ALL_FORGIVEN = 1, 3
"""The levels from which on wrong answers, and from which on all failures, count as a speed-up of 1 in ES(t)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What became of one configuration: the speed-up of right answers, else how it failed.

    `speedup` is the Hodges-Lehmann estimate from the logarithms by round. `level` is the tolerance level that the
    answers need (see `steelyard.core.closeness`), the lowest one for outputs that have none.
    """

    speedup: float | None = None
    log_speedups: Mapping[int, float] = field(default_factory=dict)
    failure: Literal["", "wrong", "other"] = ""
    level: int = LEVELS.start


@dataclass(frozen=True, kw_only=True)
class Score:
    """One arm: its configurations by the key of their points; `left_out` are titles of others, with the reason.

    `levels` says whether the run recorded how close its answers are; without that there is no S(t). `approximate` are
    titles of configurations that count although the work was not equal, with the reason.
    """

    arm: str
    tried: Mapping[str, Tried]
    left_out: Mapping[str, str]
    levels: bool
    approximate: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def speedups(self) -> Mapping[str, float]:
        """The speed-up of each configuration with right answers."""
        return {key: item.speedup for key, item in self.tried.items() if item.speedup is not None}

    @property
    def passed(self) -> Estimate | None:
        """The share of configurations with right answers. Interval, as of all shares here: Clopper-Pearson."""
        return share(len(self.speedups), len(self.tried))

    @property
    def below_one(self) -> Estimate | None:
        """Of those with right answers the share that is slower than the baseline, by the estimate alone."""
        return share(sum(value < 1 for value in self.speedups.values()), len(self.speedups))

    def fast(self, p: float) -> Estimate | None:
        """fast_p: the share of all configurations with right answers and a speed-up above p."""
        return share(sum(value > p for value in self.speedups.values()), len(self.tried))

    def tolerance_score(self, level: int, *, forgiving: bool = False) -> Estimate | None:
        """S(t), or with `forgiving` ES(t): the geometric mean over all configurations of the speed-up, FAILED where
        there is no answer that is right and close enough at the level. None without configurations or levels.

        An answer that fails the run's own check counts as failed at every level, as it has no speed. GraphNet holds
        answers against those of eager execution; here they were held against the float64 reference. Its further
        penalty for slowdowns (p) is 0, as by default there.
        """
        if not self.levels or not self.tried:
            return None
        failures = {
            key: item.failure or "wrong" for key, item in self.tried.items() if item.failure or item.level > level
        }
        forgiven = {"wrong": forgiving and level >= WRONG_FORGIVEN, "other": forgiving and level >= ALL_FORGIVEN}
        constants = tuple((key, 1.0 if forgiven[failure] else FAILED) for key, failure in failures.items())
        if constants not in self._means:
            rounds = sorted({number for item in self.tried.values() for number in item.log_speedups}) or [1]
            failed = {key: dict.fromkeys(rounds, math.log(value)) for key, value in constants}
            logs = {key: failed.get(key) or item.log_speedups for key, item in self.tried.items()}
            self._means[constants] = geometric_mean(logs, cases=list(logs))
        return self._means[constants]

    @cached_property
    def _means(self) -> dict[tuple[tuple[str, float], ...], Estimate]:
        """S and ES by what the configurations that fail count: few levels differ in that, and a mean costs its time."""
        return {}

    def closed(self, ceilings: Mapping[str, float]) -> Estimate | None:
        """The share of the way from the baseline's time to the ceiling's that is gone, on a logarithmic scale.

        `ceilings` has the speed-up that the hardware would allow over the baseline, by configuration; those without
        one above 1 are left out. It is log(mean speed-up) / log(mean allowed speed-up) with geometric means: 0 as fast
        as the baseline, 1 at the ceiling, below 0 slower. The interval is that of the speed-ups. None where no
        configuration has both.
        """
        both = {key: self.tried[key].log_speedups for key in self.speedups if ceilings.get(key, 1.0) > 1.0}
        if not both:
            return None
        whole = sum(math.log(ceilings[key]) for key in both) / len(both)
        mean = geometric_mean(both, cases=list(both))
        ends = mean.interval
        return replace(
            mean,
            value=math.log(mean.value) / whole,
            interval=ends and replace(ends, low=math.log(ends.low) / whole, high=math.log(ends.high) / whole),
        )


def scores(run: Run, *, sides: Sides | None = None) -> tuple[Score, ...]:
    """Every arm but the baseline and the control arm; none for a run of one configuration.

    A configuration at which the baseline has no time is left out for all; one that was not measured to an end, for the
    arm alone.
    """
    sides = sides or sides_of(run)
    if len(sides.points) < 2:
        return ()
    arms = [arm for arm in sides.arms if not (arm.control or arm.sham or arm.label == sides.baseline.label)]
    levels = any(check.level is not None for result in run.results if (check := result.correctness))
    paired: dict[tuple[str, str], Pairs] = {}
    failed: dict[tuple[str, str], Tried] = {}
    left_out: dict[str, dict[str, str]] = {arm.label: {} for arm in arms}
    for arm in arms:
        for key in sides.points:
            pairs = pair(sides.side(sides.baseline, key), sides.side(arm, key), METRIC)
            failure = _failure(pairs.candidate)
            if why := _left_out(pairs, failure):
                left_out[arm.label][pairs.candidate.title] = why
            elif failure:
                failed[arm.label, key] = Tried(failure=failure)
            else:
                paired[arm.label, key] = pairs
    medians = one_samples([pairs.log_ratios for pairs in paired.values()])
    tried = failed | {place: _right(paired[place], median) for place, median in zip(paired, medians, strict=True)}
    return tuple(
        Score(
            arm=arm.label,
            tried={key: tried[arm.label, key] for key in sides.points if (arm.label, key) in tried},
            left_out=left_out[arm.label],
            levels=levels,
            approximate={
                paired[arm.label, key].candidate.title: told
                for key in sides.points
                if (arm.label, key) in paired
                and (told := approximations((paired[arm.label, key].baseline, paired[arm.label, key].candidate)))
            },
        )
        for arm in arms
    )


def _left_out(pairs: Pairs, failure: str) -> str:
    """Why a configuration says nothing of the candidate; empty where it passed or failed."""
    baseline, candidate = pairs.baseline, pairs.candidate
    if baseline.wrong or not baseline.launched(METRIC):
        return baseline.failures or f"{baseline.arm.label}: no launch has steady samples"
    if failure:
        return ""
    if pairs.rounds:
        return obstacle(baseline, candidate, METRIC, usable=True)
    return candidate.failures or f"{candidate.arm.label}: no round has steady samples on both sides"


def _failure(side: Side) -> Literal["", "wrong", "other"]:
    """How a side failed: a wrong answer in any launch, another failure where no launch gave a time."""
    if any(result.status == "incorrect" for result in side.results):
        return "wrong"
    if side.wrong:
        return "other"
    bad = any(result.status not in ("ok", "skipped") for result in side.results)
    never = not side.results and side.reason not in ("", TORN)
    return "other" if (bad or never) and not side.launched(METRIC) else ""


def _right(pairs: Pairs, median: Estimate) -> Tried:
    checks = [result.correctness for result in pairs.candidate.results if result.status == "ok" and result.correctness]
    needed = [check.level for check in checks if check.level is not None]
    logs = {number: -value for number, value in zip(pairs.rounds, pairs.log_ratios, strict=True)}
    return Tried(speedup=math.exp(-median.value), log_speedups=logs, level=max(needed, default=LEVELS.start))


def share(count: int, total: int) -> Estimate | None:
    """A share of so many, with the interval of Clopper and Pearson; None of none."""
    return Estimate(value=count / total, interval=clopper_pearson(count, total), n=total) if total else None
