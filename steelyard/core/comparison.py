"""Comparisons: one factor, two sides, a ratio with its interval, a verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["faster", "slower", "equivalent", "inconclusive", "withheld", "incomparable"]
Family = Literal["primary", "exploratory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A confidence interval; `confidence` is the level it was asked for, e.g. 0.95."""

    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A point estimate with its interval, or with the reason why there is none; `n` launches stand behind it."""

    value: float
    interval: Interval | None
    n: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two sides that differ in one factor, on one metric of one point.

    `ratio` is candidate / baseline of the metric itself: below 1 is faster where lower is better.
    `floor` is the noise floor as a fraction (0.03 is 3 %), None where no control arm was measured.
    `scope` is `within run` (paired rounds) or `across runs` (unpaired). `evidence` has the ends of the plain 95 %
    interval (`low_95`, `high_95`) and, where too many launches had no steady state, those of the wider one that was
    judged (`low_judged`, `high_judged`). `approximate` says which side did its work only approximately, and in what;
    empty where both did equal work.
    """

    point: str
    title: str
    workload: str
    metric: str
    factor: str
    baseline: str
    candidate: str
    scope: Literal["within run", "across runs"]
    ratio: Estimate | None
    verdict: Verdict
    reason: str
    family: Family
    p_value: float | None = None
    p_adjusted: float | None = None
    floor: float | None = None
    margin: float = 0.02
    evidence: Mapping[str, float] = field(default_factory=dict)
    approximate: str = ""

    @property
    def decided(self) -> bool:
        """Whether there is a verdict."""
        return self.verdict in ("faster", "slower", "equivalent")

    @property
    def remarks(self) -> tuple[str, ...]:
        """What must stand beside the verdict: that a side is approximate; why there is no verdict, or that it was
        judged over all levels of launches without a steady state."""
        reason = self.reason if not self.decided or "low_judged" in self.evidence else ""
        return tuple(filter(None, (self.approximate, reason)))

    @property
    def remark(self) -> str:
        """The same in one line, empty where there is none."""
        return "; ".join(self.remarks)
