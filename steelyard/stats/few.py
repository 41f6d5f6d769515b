"""The location of paired log ratios by a rule that their number chooses: Student's t below 8 of them, ranks from 8 on.

An exact signed-rank interval of 95 % needs 6 values, and one for a member of a family more. Student's interval about
the mean needs normal values to be exact; on log ratios of launch medians it holds its level from 4 on in all models
of noise that it was tried in (docs/calibration.md). From 8 on the ranks ask for less and lose little.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steelyard.core.comparison import Estimate, Interval
from steelyard.stats import hodges_lehmann, student
from steelyard.stats.alike import alike

Floats = NDArray[np.float64]

FEWEST = 4
"""Fewer values give no interval: with 3 it would be 2.5 standard deviations wide to either side."""
RANKS_FROM = 8


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of few values with Student's intervals and tests; `error` is its standard error, 0 for a single value.

    Every interval and p-value belongs to the others: `p_above` is at most (1 - confidence) / 2 exactly when the
    interval of that confidence lies above the bound.
    """

    value: float
    error: float
    n: int

    def estimate(self, confidence: float = 0.95) -> Estimate:
        """The mean with its interval; None, with the reason, below FEWEST values."""
        if self.n < FEWEST:
            noun = "launch supports" if self.n == 1 else "launches support"
            reason = f"{self.n} {noun} no {100 * confidence:.4g} % interval; {FEWEST} would"
            return Estimate(value=self.value, interval=None, n=self.n, reason=reason)
        reach = student.quantile((1 + confidence) / 2, self.n - 1) * self.error
        interval = Interval(low=self.value - reach, high=self.value + reach, confidence=confidence)
        return Estimate(value=self.value, interval=interval, n=self.n)

    def p_above(self, bound: float) -> float:
        """One-sided p-value against a location at or below `bound`."""
        return self._tail(bound - self.value)

    def p_below(self, bound: float) -> float:
        """One-sided p-value against a location at or above `bound`."""
        return self._tail(self.value - bound)

    @property
    def p_value(self) -> float | None:
        """Two-sided p-value of a location of 0; None below FEWEST values."""
        return None if self.n < FEWEST else min(1.0, 2 * min(self.p_above(0.0), self.p_below(0.0)))

    def _tail(self, distance: float) -> float:
        if self.n < FEWEST:
            return 1.0
        if self.error == 0:
            return 0.0 if distance < 0 else 1.0
        return student.cdf(distance / self.error, self.n - 1)


Location = hodges_lehmann.Location | Mean


def paired(values: ArrayLike) -> Location:
    """The location of one sample of paired log ratios.

    Raises ValueError for an empty sample or one with a value that is not finite.
    """
    (location,) = all_paired([values])
    return location


def all_paired(samples: Sequence[ArrayLike]) -> tuple[Location, ...]:
    """`paired` of each of many samples, at a fraction of the cost: those of one size are taken together."""
    found: dict[int, Location] = {}
    many = [place for place, values in enumerate(samples) if np.size(values) >= RANKS_FROM]
    found.update(zip(many, hodges_lehmann.all_paired([samples[place] for place in many]), strict=True))
    few = [place for place in range(len(samples)) if place not in found]
    for places, rows in alike([samples[place] for place in few]):
        n = rows.shape[-1]
        if not n or not np.isfinite(rows).all():
            raise ValueError("an estimate of location needs values, and finite ones: leave out what was not measured")
        errors = rows.std(axis=-1, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(len(rows))
        for place, value, error in zip(places, rows.mean(axis=-1).tolist(), errors.tolist(), strict=True):
            found[few[place]] = Mean(value, error, n)
    return tuple(found[place] for place in range(len(samples)))


def intervals(values: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats, Floats]:
    """Estimate, low and high of many samples at once: shape (..., n) gives three of shape (...).

    For simulation. Raises ValueError where n is too small for the confidence.
    """
    data = np.asarray(values, dtype=np.float64)
    n = data.shape[-1]
    if n >= RANKS_FROM:
        return hodges_lehmann.intervals(data, confidence)
    if n < FEWEST:
        raise ValueError(f"{n} values support no interval; {FEWEST} would")
    mean = data.mean(axis=-1)
    reach = student.quantile((1 + confidence) / 2, n - 1) * data.std(axis=-1, ddof=1) / np.sqrt(n)
    return mean, mean - reach, mean + reach


def smallest_p(n: int) -> float:
    """The smallest two-sided p-value that `n` values can give: any below RANKS_FROM, 2 / 2^n from there on."""
    if n < FEWEST:
        return 1.0
    return 0.0 if n < RANKS_FROM else 2.0 ** (1 - n)
