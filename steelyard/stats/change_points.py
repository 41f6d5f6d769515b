"""Change points of a series whose noise is known: where its level moved, and stayed moved.

The levels are those that minimise the sum of squared deviations, in units of the noise, plus a penalty for each change
(optimal partitioning: Jackson et al., 2005), with a fewest number of values on each side. A value that its neighbours
do not share is drawn in to what the noise explains before that, so that a single one moves no level.
"""

import math
from collections.abc import Sequence

import numpy as np

from steelyard.stats.spread import MAD_TO_SD, Floats

FEWEST = 3
"""Values on each side of a change: fewer are an outlier."""
_NEIGHBOURS = 2
"""Values on each side that say what is usual where a value stands."""
_REACH = 3.0
"""How many standard deviations a value may lie from the median of its neighbourhood."""


def change_points(values: Sequence[float], noise: float, penalty: float) -> tuple[int, ...]:
    """The places of the first value at each new level, in order; `noise` is the standard deviation of a value.

    Raises ValueError for a noise or a penalty that is not above 0, and for values that are not finite.
    """
    if not (noise > 0 and penalty > 0 and math.isfinite(noise)):
        raise ValueError(f"noise {noise} and penalty {penalty} must be above 0")
    series = np.asarray(values, dtype=np.float64)
    if not np.isfinite(series).all():
        raise ValueError("a series with values that are not finite has no levels")
    if len(series) < 2 * FEWEST:
        return ()
    drawn = drawn_in(series, noise) / noise
    sums, squares = (np.concatenate([[0.0], np.cumsum(each)]) for each in (drawn, drawn**2))
    count = len(drawn)
    best = np.full(count + 1, np.inf)
    best[0] = -penalty
    last = np.zeros(count + 1, dtype=np.int64)
    for end in range(FEWEST, count + 1):
        starts = np.arange(0, end - FEWEST + 1)
        length = end - starts
        cost = squares[end] - squares[starts] - (sums[end] - sums[starts]) ** 2 / length
        total = best[starts] + cost + penalty
        chosen = int(np.argmin(total))
        best[end], last[end] = total[chosen], starts[chosen]
    found, place = [], count
    while (place := int(last[place])) > 0:
        found.append(place)
    return tuple(reversed(found))


def drawn_in(values: Floats, noise: float) -> Floats:
    """The values, each at most three standard deviations from the median of it and two neighbours on each side."""
    padded = np.pad(values, _NEIGHBOURS, mode="reflect") if len(values) > _NEIGHBOURS else values
    if len(padded) == len(values):
        return values
    usual = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEIGHBOURS + 1), axis=1)
    return np.clip(values, usual - _REACH * noise, usual + _REACH * noise)


def noise_of(values: Sequence[float]) -> float | None:
    """The standard deviation of a value around its level, from the differences of neighbours, so that levels that move
    do not count: the median absolute difference, scaled to a normal distribution. None for fewer than 4 values."""
    series = np.asarray(values, dtype=np.float64)
    if len(series) < FEWEST + 1:
        return None
    return float(np.median(np.abs(np.diff(series)))) * MAD_TO_SD / math.sqrt(2)
