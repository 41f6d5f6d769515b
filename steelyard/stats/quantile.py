"""Quantiles with order-statistic intervals, and binomial proportions with Clopper-Pearson intervals."""

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from steelyard.core.comparison import Estimate, Interval
from steelyard.stats import student


def supported(n: int, p: float) -> bool:
    """Whether n samples say something about the p-quantile: at least 10 of them lie beyond it on average."""
    return n * (1 - p) >= 10 * (1 - 1e-12)


def needed(p: float) -> int:
    """The smallest number of samples that supports the p-quantile: 100 for 0.9, 1000 for 0.99."""
    return math.ceil(10 / (1 - p) - 1e-9)


def of_sorted(ordered: NDArray[np.float64], p: float) -> NDArray[np.float64]:
    """The p-quantile along the last axis of what is sorted already, linear between neighbours."""
    place = (ordered.shape[-1] - 1) * p
    below = math.floor(place)
    low, high = ordered[..., below], ordered[..., min(below + 1, ordered.shape[-1] - 1)]
    return np.asarray(low + (high - low) * (place - below))


def clustered_percentile(
    clusters: Sequence[NDArray[np.float64]], p: float, confidence: float = 0.95
) -> Estimate | None:
    """The p-quantile of values in clusters (samples of launches, none empty); None where it is not supported.

    The interval runs between two order statistics of all values together (Woodruff 1952): those at the
    shares p -/+ t(clusters - 1) x the standard error of the share of values below the estimate. That error
    is the ratio estimator's over clusters, but never less than the binomial one of independent values.
    `n` is the number of clusters. The interval is None, with the reason, for one cluster and where the
    upper order statistic would lie past the last value: counting that as an interval without an upper end,
    the truth is missed in about 5 % of all samples, though in more of those few that give an interval
    where most do not.
    """
    sizes = np.array([cluster.size for cluster in clusters])
    n, k = int(sizes.sum()), len(clusters)
    if not supported(n, p):
        return None
    values = np.concatenate(clusters)
    data = np.sort(values)
    value = float(of_sorted(data, p))
    if k < 2:
        return Estimate(value=value, interval=None, n=k, reason="one launch cannot say how launches differ")
    below = np.add.reduceat((values <= value).astype(np.int64), np.cumsum(sizes) - sizes)
    residuals = below - sizes * (below.sum() / n)
    variance = max(k / (k - 1) * float(residuals @ residuals) / n**2, p * (1 - p) / n)
    reach = student.quantile((1 + confidence) / 2, k - 1) * math.sqrt(variance)
    low, high = math.floor(n * (p - reach)), math.ceil(n * (p + reach)) + 1
    if low < 1 or high > n:
        reason = f"{n} samples of {k} launches do not bound the {100 * p:g} % quantile"
        return Estimate(value=value, interval=None, n=k, reason=reason)
    interval = Interval(low=float(data[low - 1]), high=float(data[high - 1]), confidence=confidence)
    return Estimate(value=value, interval=interval, n=k)


@cache
def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """The exact interval of a proportion: no coverage below `confidence` (Clopper and Pearson 1934)."""
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is not a proportion")
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else _root(lambda p: 1 - _at_most(successes - 1, trials, p) - tail)
    high = 1.0 if successes == trials else _root(lambda p: tail - _at_most(successes, trials, p))
    return Interval(low=low, high=high, confidence=confidence)


def _at_most(k: int, n: int, p: float) -> float:
    return float(_binomial_cumulative(n, p)[k])


def _binomial_cumulative(n: int, p: float) -> NDArray[np.float64]:
    """P(B <= k) for k = 0 ... n, through logarithms so that large n does not overflow."""
    counts = np.arange(n + 1)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    logs = factorials[n] - factorials - factorials[::-1] + counts * math.log(p) + (n - counts) * math.log1p(-p)
    return np.asarray(np.minimum(np.cumsum(np.exp(logs)), 1.0))


def _root(rising: Callable[[float], float]) -> float:
    """Where a function that rises through 0 between 0 and 1 does so, by halving to the last bit."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return middle
