"""The verdict rule, apart from where the numbers come from.

On the log scale, with t = log(1 + max(margin, floor)) and m = log(1 + margin): `faster` and `slower`
need the whole interval beyond -t or t; `equivalent` needs it inside -m ... m and a floor that does not
exceed the margin; all else is `inconclusive`. In a family, each comparison gets the smallest level
alpha at which its interval of confidence 1 - alpha would carry such a claim; Holm (primary) or
Benjamini-Hochberg (exploratory) says which claims stand and at which confidence their intervals are
given. Whoever may claim nothing is shown with a plain 95 % interval.

Where too many launches had no steady state a claim must hold at every level that they ranged over: the
interval that is judged runs from the low end of the one location to the high end of the other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.core.comparison import Estimate, Family, Interval, Verdict
from steelyard.stats.few import Location
from steelyard.stats.multiplicity import (
    benjamini_hochberg,
    false_coverage_confidence,
    holm,
    holm_confidences,
)

MARGIN = 0.02
ALPHA = 0.05
_HAIR = 1 + 1e-9  # the level of a rank test is met exactly at some n; rounding must not undo that


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One comparison that has enough data: the location of its log ratios, its floor (a fraction), its p-value.

    `bias` is a fraction by which the location may be off in a way that its interval does not show
    (across runs: the run-to-run effect); the room for `equivalent` shrinks by it. `span` are the locations with the
    launches that had no steady state at their lowest and at their highest level, where there were too many of them.
    """

    location: Location
    floor: float | None
    p_value: float | None
    margin: float = MARGIN
    bias: float = 0.0
    span: tuple[Location, Location] | None = None

    @property
    def _ends(self) -> tuple[Location, Location]:
        return self.span or (self.location, self.location)

    def judged(self, confidence: float) -> Interval | None:
        """The interval that a claim needs; None where there is too little for the confidence."""
        low, high = (end.estimate(confidence).interval for end in self._ends)
        return low and high and Interval(low=low.low, high=high.high, confidence=confidence)

    @property
    def inside(self) -> float | None:
        """The log ratio within which `equivalent` holds; None where the floor leaves no room for it."""
        if self.floor is None or self.floor > self.margin or self.bias >= self.margin:
            return None
        return math.log1p(self.margin) - math.log1p(self.bias)

    @property
    def threshold(self) -> float:
        """What faster and slower must lie beyond, as a fraction."""
        return max(self.margin, self.floor or 0.0)

    @property
    def claim_level(self) -> float:
        """The smallest two-sided level at which the interval carries a claim; 1 if none does."""
        if self.floor is None:
            return 1.0
        beyond, (low, high) = math.log1p(self.threshold), self._ends
        levels = [low.p_above(beyond), high.p_below(-beyond)]
        if self.inside is not None:
            levels.append(max(low.p_above(-self.inside), high.p_below(self.inside)))
        return min(1.0, 2 * min(levels))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdict with its reason, the ratio at the confidence it is given at, and the adjusted p-value."""

    verdict: Verdict
    reason: str
    ratio: Estimate
    p_adjusted: float | None
    claim_level: float
    confidence: float


def decide(questions: Sequence[Question], family: Family) -> tuple[Decision, ...]:
    """Answer all questions of one family together, in their order."""
    if not questions:
        return ()
    levels = [question.claim_level for question in questions]
    if family == "primary":
        adjusted_levels = holm(levels)
        confidences = [float(value) for value in holm_confidences(levels, ALPHA)]
    else:
        adjusted_levels = benjamini_hochberg(levels)
        confidences = [false_coverage_confidence(levels, ALPHA)] * len(levels)
    adjust = holm if family == "primary" else benjamini_hochberg
    known = [question.p_value for question in questions if question.p_value is not None]
    adjusted_p = iter(adjust(known))
    answers = []
    for question, level, adjusted, confidence in zip(questions, levels, adjusted_levels, confidences, strict=True):
        stands = float(adjusted) <= ALPHA * _HAIR
        used = confidence if stands else 1 - ALPHA
        estimate, judged = question.location.estimate(used), question.judged(used)
        verdict = _verdict(judged, question) if stands else "inconclusive"
        answers.append(
            Decision(
                verdict=verdict,
                reason=_reason(verdict, judged, question, len(questions), family),
                ratio=as_ratio(estimate),
                p_adjusted=None if question.p_value is None else float(next(adjusted_p)),
                claim_level=level,
                confidence=used,
            )
        )
    return tuple(answers)


def as_ratio(estimate: Estimate) -> Estimate:
    """An estimate of log ratios as one of ratios."""
    interval = estimate.interval
    if interval is not None:
        interval = Interval(low=math.exp(interval.low), high=math.exp(interval.high), confidence=interval.confidence)
    return Estimate(value=math.exp(estimate.value), interval=interval, n=estimate.n, reason=estimate.reason)


def percent(fraction: float) -> str:
    """0.0234 as `2.3 %`."""
    return f"{100 * fraction:.2g} %"


def _verdict(interval: Interval | None, question: Question) -> Verdict:
    if interval is None or question.floor is None:
        return "inconclusive"
    beyond, inside = math.log1p(question.threshold), question.inside
    if interval.high < -beyond:
        return "faster"
    if interval.low > beyond:
        return "slower"
    if inside is not None and -inside < interval.low and interval.high < inside:
        return "equivalent"
    return "inconclusive"


def _reason(verdict: Verdict, interval: Interval | None, question: Question, size: int, family: Family) -> str:
    """One sentence on what decided."""
    if question.floor is None:
        return "no control arm gave a noise floor, so that no difference can be told from noise"
    if interval is None:
        return f"too few rounds for an interval in a family of {size}"
    beyond = f"{percent(question.threshold)} ({'noise floor' if question.floor > question.margin else 'margin'})"
    wider = "" if question.span is None else ", wherever in their windows the unsteady launches are read,"
    level = f"{100 * interval.confidence:.4g} % interval{wider}"
    if verdict in ("faster", "slower"):
        return f"the whole {level} lies beyond {beyond}"
    if verdict == "equivalent":
        return f"the whole {level} lies within {percent(math.expm1(question.inside or 0.0))}"
    alone = _verdict(interval, question)
    if alone != "inconclusive":
        return f"{alone} if it were alone, but not among {size} {family} comparisons"
    if question.inside is None and max(abs(interval.low), abs(interval.high)) < math.log1p(question.margin):
        return f"the {level} lies within {percent(question.margin)}, but the noise floor is {percent(question.floor)}"
    return f"the {level} neither lies beyond {beyond} nor within {percent(question.margin)}"
