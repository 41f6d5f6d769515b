"""Comparisons: one factor, two sides, a ratio with its interval, a verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Verdict = Literal["faster", "slower", "equivalent", "inconclusive", "withheld", "incomparable"]
Family = Literal["primary", "exploratory"]

PRINTED = 0.95
"""The confidence of every interval that a person reads, so that the intervals of a column can be held side by side."""


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

    @property
    def inverse(self) -> "Estimate":
        """Of a ratio the one with its sides exchanged; the ends of the interval change places."""
        ends = self.interval
        turned = None if ends is None else replace(ends, low=1 / ends.high, high=1 / ends.low)
        return replace(self, value=1 / self.value, interval=turned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two sides that differ in one factor, on one metric of one point.

    `ratio` is candidate / baseline of the metric itself: below 1 is faster where lower is better. Its interval is the
    one that the family allows; what a person reads is `speedup`.
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
    def plain(self) -> Estimate | None:
        """`ratio` with its plain interval of 95 %, whatever the one was that the verdict rests on."""
        if self.ratio is None or "low_95" not in self.evidence:
            return self.ratio
        ends = Interval(low=self.evidence["low_95"], high=self.evidence["high_95"], confidence=PRINTED)
        return replace(self.ratio, interval=ends, reason="")

    @property
    def speedup(self) -> Estimate | None:
        """Baseline / candidate of a time with its plain interval of 95 %: above 1 is faster."""
        return self.plain and self.plain.inverse

    @property
    def remarks(self) -> tuple[str, ...]:
        """What must stand beside the verdict: that a side is approximate; why there is no verdict, or on which interval
        it rests if not on the plain one."""
        return tuple(filter(None, (self.approximate, self._grounds)))

    @property
    def remark(self) -> str:
        """The same in one line, empty where there is none."""
        return "; ".join(self.remarks)

    @property
    def _grounds(self) -> str:
        """Why there is no verdict, or on which interval it rests if not on the plain one (one over all levels of
        launches without a steady state, or a wider one of its family); else empty."""
        if not self.decided or "low_judged" in self.evidence:
            return self.reason
        judged = None if self.ratio is None else self.ratio.interval
        if judged is None or judged.confidence <= PRINTED:
            return ""
        return f"judged by the {100 * judged.confidence:.4g} % interval, adjusted for the family"
