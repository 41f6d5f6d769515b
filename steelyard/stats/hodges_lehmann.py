"""Hodges-Lehmann estimates of location and shift with their rank intervals (Hodges and Lehmann 1963).

One sample: the median of the Walsh averages (x_i + x_j) / 2, i <= j; the interval inverts the exact
signed-rank test. Two samples: the median of all differences; the interval inverts the rank-sum test.
With log ratios in, `exp` of what comes out is the ratio and its interval.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steelyard.core.comparison import Estimate, Interval
from steelyard.stats import rank_sum, signed_rank
from steelyard.stats.alike import alike
from steelyard.stats.spread import middles

Floats = NDArray[np.float64]

_AVERAGES_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Location:
    """A location or shift before a confidence is chosen: estimate, intervals and tests that belong together.

    `ordered` are the sorted Walsh averages or pairwise differences; the interval of index k runs from
    ordered[k] to ordered[-1 - k]. `sizes` is the size of the sample, or of both. Built by `paired`
    and `unpaired`.
    """

    ordered: Floats
    sizes: tuple[int, ...]

    @property
    def value(self) -> float:
        """The estimate: the median of `ordered`."""
        return float(middles(self.ordered))

    def estimate(self, confidence: float = 0.95) -> Estimate:
        """The estimate with its interval; None, with the reason, where there is too little for the confidence."""
        k = _critical(self.sizes, confidence)
        if k is None:
            return Estimate(value=self.value, interval=None, n=min(self.sizes), reason=_too_few(self.sizes, confidence))
        low, high = float(self.ordered[k]), float(self.ordered[-1 - k])
        interval = Interval(low=low, high=high, confidence=confidence)
        return Estimate(value=self.value, interval=interval, n=min(self.sizes))

    def p_above(self, bound: float) -> float:
        """One-sided p-value against a location at or below `bound`.

        At most (1 - confidence) / 2 exactly when the interval of that confidence lies above `bound`: the
        number of averages (differences) at or below it is the rank statistic of the shifted sample.
        """
        return self._tail(int(np.searchsorted(self.ordered, bound, side="right")))

    def p_below(self, bound: float) -> float:
        """One-sided p-value against a location at or above `bound`; see `p_above`."""
        return self._tail(self.ordered.size - int(np.searchsorted(self.ordered, bound, side="left")))

    def _tail(self, count: int) -> float:
        if len(self.sizes) == 1:
            return signed_rank.lower_tail(self.sizes[0], count)
        return rank_sum.lower_tail(self.sizes[0], self.sizes[1], count)


def paired(values: ArrayLike) -> Location:
    """The location of one sample of values (paired differences) that are symmetric about it.

    Raises ValueError for an empty sample or one with a value that is not finite.
    """
    return Location(walsh_averages(values), (np.size(values),))


def unpaired(candidate: ArrayLike, baseline: ArrayLike) -> Location:
    """The shift from `baseline` to `candidate`, two independent samples of equal shape.

    Raises ValueError for an empty sample or one with a value that is not finite.
    """
    return Location(pairwise_differences(candidate, baseline), (np.size(candidate), np.size(baseline)))


def one_sample(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """The location of one sample with its interval, which needs 6 values for 95 %; see `paired`."""
    return paired(values).estimate(confidence)


def one_samples(samples: Sequence[ArrayLike], confidence: float = 0.95) -> tuple[Estimate, ...]:
    """`one_sample` of each of many samples, at a fraction of the cost: those of one size are taken together."""
    found: dict[int, Estimate] = {}
    for places, ordered, size in _averages(samples):
        found.update(zip(places, _estimates(ordered, size, confidence), strict=True))
    return tuple(found[place] for place in range(len(samples)))


def all_paired(samples: Sequence[ArrayLike]) -> tuple[Location, ...]:
    """`paired` of each of many samples, at a fraction of the cost: those of one size are taken together."""
    found: dict[int, Location] = {}
    for places, ordered, size in _averages(samples):
        found.update((place, Location(row, (size,))) for place, row in zip(places, ordered, strict=True))
    return tuple(found[place] for place in range(len(samples)))


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
    n = np.shape(values)[-1]
    k = signed_rank.critical(n, confidence)
    if k is None:
        raise ValueError(_too_few((n,), confidence))
    return middles(walsh), walsh[..., k], walsh[..., -1 - k]


def _averages(samples: Sequence[ArrayLike]) -> Iterator[tuple[list[int], Floats, int]]:
    """Samples of one size together: their places, a row of sorted Walsh averages for each, the size."""
    longest = max(map(np.size, samples), default=0)
    for places, rows in alike(samples, _AVERAGES_AT_ONCE * 2 // (longest + 1)):
        yield places, walsh_averages(rows), rows.shape[-1]


def _estimates(ordered: Floats, size: int, confidence: float) -> Iterator[Estimate]:
    """The estimates from rows of sorted Walsh averages of samples of this size."""
    values = middles(ordered).tolist()
    k = signed_rank.critical(size, confidence)
    if k is None:
        reason = _too_few((size,), confidence)
        yield from (Estimate(value=value, interval=None, n=size, reason=reason) for value in values)
        return
    for value, low, high in zip(values, ordered[:, k].tolist(), ordered[:, -1 - k].tolist(), strict=True):
        yield Estimate(value=value, interval=Interval(low=low, high=high, confidence=confidence), n=size)


@cache
def _pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rows, columns = np.triu_indices(n)
    return rows, columns


def _critical(sizes: tuple[int, ...], confidence: float) -> int | None:
    if len(sizes) == 1:
        return signed_rank.critical(sizes[0], confidence)
    return rank_sum.critical(sizes[0], sizes[1], confidence)


def _checked(values: ArrayLike) -> Floats:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim == 0 or data.shape[-1] == 0:
        raise ValueError("an estimate of location needs at least one value")
    if not np.isfinite(data).all():
        raise ValueError("an estimate of location needs finite values; leave out what was not measured")
    return data


def _too_few(sizes: tuple[int, ...], confidence: float) -> str:
    """Says how many launches there are and how many would do."""
    enough = sizes
    while _critical(enough, confidence) is None:
        enough = tuple(size + 1 for size in enough)
    have, would = (" and ".join(map(str, counts)) for counts in (sizes, enough))
    noun = "launch supports" if sizes == (1,) else "launches support"
    return f"{have} {noun} no {100 * confidence:.4g} % interval; {would} would"
