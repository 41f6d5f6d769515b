"""Hodges-Lehmann estimates of location and shift with their rank intervals (Hodges and Lehmann 1963).

One sample: the median of the Walsh averages (x_i + x_j) / 2, i <= j; the interval inverts the exact
signed-rank test. Two samples: the median of all differences; the interval inverts the rank-sum test.
With log ratios in, `exp` of what comes out is the ratio and its interval.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steelyard.core.comparison import Estimate, Interval
from steelyard.stats import rank_sum, signed_rank

Floats = NDArray[np.float64]


def one_sample(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """The location of a sample of independent values that are symmetric about it.

    The interval is None, with the reason, where n is too small for the confidence (95 % needs 6
    values). Raises ValueError for an empty sample or one with a value that is not finite.
    """
    walsh = walsh_averages(values)
    n = _size(walsh)
    value = float(_middle(walsh))
    k = signed_rank.critical(n, confidence)
    if k is None:
        return Estimate(value=value, interval=None, n=n, reason=_too_few(n, confidence))
    interval = Interval(low=float(walsh[k]), high=float(walsh[-1 - k]), confidence=confidence)
    return Estimate(value=value, interval=interval, n=n)


def two_sample(candidate: ArrayLike, baseline: ArrayLike, confidence: float = 0.95) -> Estimate:
    """The shift from `baseline` to `candidate`, two independent samples of equal shape.

    The interval is None, with the reason, where the samples are too small; `n` is the smaller one's
    size. Raises ValueError for an empty sample or one with a value that is not finite.
    """
    differences = pairwise_differences(candidate, baseline)
    m, n = np.size(candidate), np.size(baseline)
    value = float(_middle(differences))
    k = rank_sum.critical(m, n, confidence)
    if k is None:
        reason = f"{m} and {n} launches support no {confidence:.4g} interval"
        return Estimate(value=value, interval=None, n=min(m, n), reason=reason)
    interval = Interval(low=float(differences[k]), high=float(differences[-1 - k]), confidence=confidence)
    return Estimate(value=value, interval=interval, n=min(m, n))


def walsh_averages(values: ArrayLike) -> Floats:
    """The sorted Walsh averages along the last axis: shape (..., n) gives (..., n(n+1)/2)."""
    data = _checked(values)
    rows, columns = _pairs(data.shape[-1])
    averages = (data[..., rows] + data[..., columns]) / 2
    averages.sort(axis=-1)
    return averages


def pairwise_differences(candidate: ArrayLike, baseline: ArrayLike) -> Floats:
    """All differences candidate - baseline, sorted."""
    differences = np.subtract.outer(_checked(candidate), _checked(baseline)).ravel()
    differences.sort()
    return differences


def intervals(values: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats, Floats]:
    """Estimate, low and high of many samples at once: shape (..., n) gives three of shape (...).

    For simulation. Raises ValueError where n is too small for the confidence.
    """
    walsh = walsh_averages(values)
    k = signed_rank.critical(_size(walsh), confidence)
    if k is None:
        raise ValueError(_too_few(_size(walsh), confidence))
    return _middle(walsh), walsh[..., k], walsh[..., -1 - k]


def p_above(walsh: Floats, bound: float) -> float:
    """One-sided p-value against a location at or below `bound`, from one sample's sorted Walsh averages.

    Below (1 - confidence) / 2 exactly when the interval of that confidence lies above `bound`: the
    number of averages at or below it is the signed-rank statistic of the shifted sample.
    """
    return signed_rank.lower_tail(_size(walsh), int(np.searchsorted(walsh, bound, side="right")))


def p_below(walsh: Floats, bound: float) -> float:
    """One-sided p-value against a location at or above `bound`; see `p_above`."""
    return signed_rank.lower_tail(_size(walsh), walsh.shape[-1] - int(np.searchsorted(walsh, bound, side="left")))


@cache
def _pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rows, columns = np.triu_indices(n)
    return rows, columns


def _size(walsh: Floats) -> int:
    """n from M = n(n+1)/2."""
    return (math.isqrt(8 * int(walsh.shape[-1]) + 1) - 1) // 2


def _middle(ordered: Floats) -> Floats:
    """The median along the last axis of what is sorted already."""
    count = ordered.shape[-1]
    return np.asarray((ordered[..., (count - 1) // 2] + ordered[..., count // 2]) / 2)


def _checked(values: ArrayLike) -> Floats:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim == 0 or data.shape[-1] == 0:
        raise ValueError("an estimate of location needs at least one value")
    if not np.isfinite(data).all():
        raise ValueError("an estimate of location needs finite values; leave out what was not measured")
    return data


def _too_few(n: int, confidence: float) -> str:
    count = n
    while signed_rank.critical(count, confidence) is None:
        count += 1
    return f"{n} launches support no {100 * confidence:.4g} % interval; {count} would"
