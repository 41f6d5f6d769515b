"""Proportions of events that come in clusters: comparisons of one run share its noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.core.comparison import Interval
from steelyard.stats.quantile import clopper_pearson


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """`count` events of `of`, with the interval that their clusters allow.

    `design_effect` is the variance with clusters over the binomial one, None with the `reason` where it cannot be
    estimated; `effective` is `of` divided by it.
    """

    count: int
    of: int
    interval: Interval | None
    design_effect: float | None
    effective: float
    reason: str = ""


def clustered_proportion(events: Sequence[int], sizes: Sequence[int], confidence: float = 0.95) -> Proportion:
    """The share of events over clusters: `events[i]` of `sizes[i]` in cluster i.

    With x events among n in k clusters, p = x / n, the ratio estimator's variance is
    k / (k - 1) * sum((x_i - n_i p)^2) / n^2, and its quotient by p (1 - p) / n the design effect d (Rao and Scott
    1992, A simple method for the analysis of clustered binary data, Biometrics 48). The interval is that of Clopper
    and Pearson for x / d events of n / d trials (Korn and Graubard 1998, Survey Methodology 24), outward to whole
    numbers, so that it is never the narrower for the rounding. d is at least 1 here: chance agreement between few
    clusters shall not narrow the interval. Where d cannot be estimated (no events, only events, one cluster) the
    interval counts every trial as independent, and the reason says so.
    """
    counts, totals = np.asarray(events, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    if counts.shape != totals.shape or np.any(counts < 0) or np.any(counts > totals):
        raise ValueError("each cluster needs its number of events, at most its size")
    kept = totals > 0
    counts, totals = counts[kept], totals[kept]
    x, n, k = round(float(counts.sum())), round(float(totals.sum())), int(totals.size)
    if n == 0:
        return Proportion(count=0, of=0, interval=None, design_effect=None, effective=0.0, reason="nothing was counted")
    reason = ""
    if x in (0, n):
        reason = f"{'no events' if x == 0 else 'nothing but events'}: clusters cannot be seen, counted as independent"
    elif k < 2:
        reason = "one cluster: its effect cannot be seen, counted as independent"
    if reason:
        interval = clopper_pearson(x, n, confidence)
        return Proportion(count=x, of=n, interval=interval, design_effect=None, effective=float(n), reason=reason)
    p = x / n
    variance = k / (k - 1) * float(np.sum((counts - totals * p) ** 2)) / n**2
    effect = max(1.0, variance / (p * (1 - p) / n))
    trials = max(1, math.floor(n / effect + 1e-9))
    low = clopper_pearson(min(trials, math.floor(trials * p + 1e-9)), trials, confidence).low
    high = clopper_pearson(min(trials, math.ceil(trials * p - 1e-9)), trials, confidence).high
    return Proportion(
        count=x,
        of=n,
        interval=Interval(low=low, high=high, confidence=confidence),
        design_effect=effect,
        effective=n / effect,
    )
