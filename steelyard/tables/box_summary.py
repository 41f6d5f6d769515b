"""A few values described as benchmark tools describe them: quartiles, fences, counts of far values."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

FENCE = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxSummary:
    """At least two values. Quartiles are interpolated linearly, both ends included (R's type 7); `low_fence` and
    `high_fence` are the outermost values within 1.5 interquartile ranges of the quartiles (Tukey's whiskers);
    `beyond_deviation` counts values more than one standard deviation from the mean."""

    low: float
    high: float
    mean: float
    deviation: float
    median: float
    lower_quartile: float
    upper_quartile: float
    low_fence: float
    high_fence: float
    beyond_fence: int
    beyond_deviation: int
    total: float
    count: int


def described(values: Sequence[float]) -> BoxSummary:
    """Describe values. Raises ValueError below two: one value has no spread."""
    if len(values) < 2:
        raise ValueError("one value has no spread")
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    reach = FENCE * (upper - lower)
    within = [value for value in values if lower - reach <= value <= upper + reach]
    return BoxSummary(
        low=min(values),
        high=max(values),
        mean=mean,
        deviation=deviation,
        median=median,
        lower_quartile=lower,
        upper_quartile=upper,
        low_fence=min(within),
        high_fence=max(within),
        beyond_fence=len(values) - len(within),
        beyond_deviation=sum(abs(value - mean) > deviation for value in values),
        total=sum(values),
        count=len(values),
    )
