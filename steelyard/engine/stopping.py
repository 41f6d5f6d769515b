"""When a run has enough rounds: the interval is narrow enough, or a cap is reached. Never sees a verdict."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from steelyard.core.result import Result
from steelyard.stats.hodges_lehmann import one_sample

TARGET_HALF_WIDTH = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """How wide the widest interval of the primary comparisons still is, as a fraction; None while unknown."""

    half_width: float | None
    target: float = TARGET_HALF_WIDTH

    @property
    def reached(self) -> bool:
        """Whether every primary comparison is narrow enough."""
        return self.half_width is not None and self.half_width <= self.target


def precision(results: Iterable[Result], *, baseline: str, headline_cases: Mapping[str, Sequence[str]]) -> Precision:
    """The widest half-width over arms and headline points.

    `headline_cases` maps an arm's label to its case ids, in the points' order. The half-width is that
    of the exact Hodges-Lehmann interval of paired log-ratios of per-launch medians (about a fraction).
    """
    medians: dict[tuple[str, str, int], float] = {}
    for result in results:
        measured = result.measurement("latency_s")
        if result.status == "ok" and measured is not None and result.round > 0:
            steady = sorted(measured.steady_samples)
            medians[result.arm, result.case_id, result.round] = steady[len(steady) // 2]
    widest: float | None = None
    for arm, cases in headline_cases.items():
        if arm == baseline:
            continue
        for case, reference in zip(cases, headline_cases[baseline], strict=True):
            pairs = [
                math.log(value / medians[baseline, reference, number])
                for (label, case_id, number), value in medians.items()
                if label == arm and case_id == case and (baseline, reference, number) in medians
            ]
            if not pairs:
                continue  # a backend that never ran ok does not keep the run going
            interval = one_sample(pairs).interval
            if interval is None:
                return Precision(half_width=None)
            widest = max(widest or 0.0, (interval.high - interval.low) / 2)
    return Precision(half_width=widest)
