"""When a run has enough rounds: the interval is narrow enough, or a cap is reached. Never sees a verdict."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from steelyard.core.result import Result
from steelyard.stats.hodges_lehmann import one_sample
from steelyard.stats.planning import rounds_to_fire

TARGET_HALF_WIDTH = 0.02

Pairs = Mapping[str, Sequence[Sequence[float]]]
"""Per arm, for each headline case, the paired log-ratios to the baseline, one per round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """How wide the widest interval of the primary comparisons still is, as a fraction; None while unknown."""

    half_width: float | None
    target: float = TARGET_HALF_WIDTH

    @property
    def reached(self) -> bool:
        """Whether every primary comparison is narrow enough."""
        return self.half_width is not None and self.half_width <= self.target


def paired_logs(results: Iterable[Result], *, baseline: str, headline: Mapping[str, Sequence[str]]) -> Pairs:
    """Log-ratios of per-launch medians of latency, paired by round.

    `headline` maps an arm's label to its case ids, in the points' order. Round 0 gives no pair, nor
    does a round in which one of the sides was not ok.
    """
    medians = {
        (result.arm, result.case_id, result.round): math.log(statistics.median(measured.steady_samples))
        for result in results
        if result.status == "ok" and result.round > 0 and (measured := result.measurement("latency_s")) is not None
    }
    rounds = sorted({number for _, _, number in medians})
    return {
        arm: [
            [
                medians[arm, case, number] - medians[baseline, reference, number]
                for number in rounds
                if (arm, case, number) in medians and (baseline, reference, number) in medians
            ]
            for case, reference in zip(cases, headline[baseline], strict=True)
        ]
        for arm, cases in headline.items()
        if arm != baseline
    }


def precision(pairs: Pairs) -> Precision:
    """The widest half-width of the exact Hodges-Lehmann interval over arms and headline cases.

    A backend that never ran ok does not keep the run going; one with too few pairs for an interval does.
    """
    widest: float | None = None
    for logs in (logs for cases in pairs.values() for logs in cases if logs):
        interval = one_sample(logs).interval
        if interval is None:
            return Precision(half_width=None)
        widest = max(widest or 0.0, (interval.high - interval.low) / 2)
    return Precision(half_width=widest)


def families(primary: int, exploratory: int) -> str:
    """The smallest number of rounds at which each family can give a verdict."""
    parts = [f"primary ({primary} comparisons): {rounds_to_fire(max(1, primary))} rounds"]
    if exploratory:
        # Benjamini-Hochberg may fire on one member alone only at the level that Holm asks of it.
        parts.append(f"exploratory ({exploratory}): {rounds_to_fire(exploratory)} rounds for a single effect")
    return "verdicts become possible at: " + "; ".join(parts)
