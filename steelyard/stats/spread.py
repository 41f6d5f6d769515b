"""Spread and dependence of samples: MAD, variation between launches, autocorrelation, effective sample size."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

MAD_TO_SD = 1.4826
"""1 / Phi^-1(3/4): what turns a MAD into a standard deviation for normal data."""
_FEW_LAGS = 64


def coefficient_of_variation(values: ArrayLike) -> float | None:
    """Standard deviation (n - 1) over mean; None with fewer than two values or a mean of 0."""
    data = _checked(values)
    mean = float(data.mean())
    if data.size < 2 or mean == 0:
        return None
    return float(data.std(ddof=1) / abs(mean))


class Spreads(NamedTuple):
    """The spread within each of many launches: one array for each field.

    `mad` is the median absolute deviation from the median, unscaled, in the samples' unit. `far_share` is the share of
    samples more than 3 scaled MADs from the median, none of which is deleted; where more than half of the samples are
    equal the MAD is 0 and every other one counts. `lag1` is the correlation of each sample with the next, in time
    order. `effective_samples` is how many independent samples would know the mean as well as these:
    n / (1 + 2 sum rho_t), the sum ending with the first pair rho_2t + rho_2t+1 that is not positive (initial positive
    sequence, Geyer 1992), between 1 and n. The last two are NaN below 3 samples and without any variation.
    """

    mad: Floats
    far_share: Floats
    lag1: Floats
    effective_samples: Floats


def describe_rows(rows: ArrayLike) -> Spreads:
    """Describe each row of a matrix: launches of as many samples each. Raises ValueError for rows without samples."""
    data = np.asarray(rows, dtype=np.float64)
    if data.ndim != 2 or data.shape[1] == 0 or not np.isfinite(data).all():
        raise ValueError("spread needs rows of at least one finite value")
    deviations = np.abs(data - middles(np.sort(data, axis=1))[:, None])
    deviations.sort(axis=1)
    widths = middles(deviations)
    far = (deviations > 3.0 * MAD_TO_SD * widths[:, None]).mean(axis=1)
    return Spreads(widths, far, *_dependence(data))


def middles(ordered: Floats) -> Floats:
    """The medians along the last axis of what is sorted already: shape (..., n) gives (...)."""
    n = ordered.shape[-1]
    return np.asarray((ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2)


def autocorrelation(values: ArrayLike) -> Floats:
    """The correlation with itself at lags 0 ... n - 1 (biased estimate, by FFT). The values must vary."""
    data = _checked(values)
    centred = data - data.mean()
    spectrum = np.fft.rfft(centred, 2 * data.size)
    covariance = np.fft.irfft(spectrum * np.conj(spectrum), 2 * data.size)[: data.size]
    return np.asarray(covariance / covariance[0])


def _dependence(data: Floats) -> tuple[Floats, Floats]:
    """Lag-1 autocorrelation and effective sample size of each row; NaN twice where there is no variation."""
    rows, n = data.shape
    centred = data - data.mean(axis=1, keepdims=True)
    power = _products(centred, centred)
    lags, effective = np.full(rows, np.nan), np.full(rows, np.nan)
    varies = (power > (1e-12 * np.abs(data).max(axis=1)) ** 2 * n) & (n >= 3)
    if varies.any():
        centred, power = centred[varies], power[varies]
        lags[varies] = _products(centred[:, :-1], centred[:, 1:]) / power
        effective[varies] = _effective(centred, power)
    return lags, effective


def _effective(centred: Floats, power: Floats) -> Floats:
    """Geyer's sum for each row. Most rows need few lags, which cost less one by one than all of them by FFT."""
    rows, n = centred.shape
    totals = np.zeros(rows)
    active, lag = np.arange(rows), 0
    while active.size and lag + 1 < min(n, _FEW_LAGS):
        part = centred[active]
        products = _products(part[:, : n - lag], part[:, lag:])
        pairs = (products + _products(part[:, : n - lag - 1], part[:, lag + 1 :])) / power[active]
        active, pairs = active[pairs > 0], pairs[pairs > 0]
        totals[active] += pairs
        lag += 2
    for row in active if lag + 1 < n else ():
        every = autocorrelation(centred[row])
        pairs = every[lag : lag + (n - lag) // 2 * 2].reshape(-1, 2).sum(axis=1)
        ends = np.flatnonzero(pairs <= 0)
        totals[row] += pairs[: ends[0] if ends.size else pairs.size].sum()
    inflation = 2 * totals - 1
    with np.errstate(divide="ignore"):
        effective = np.where(inflation > 0, n / inflation, float(n))
    return np.asarray(np.clip(effective, 1.0, n))


def _products(left: Floats, right: Floats) -> Floats:
    """The scalar product of each row of the one with that of the other."""
    return np.asarray(np.einsum("ij,ij->i", left, right))


def _checked(values: ArrayLike) -> Floats:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or data.size == 0 or not np.isfinite(data).all():
        raise ValueError("spread needs a list of at least one finite value")
    return data
