"""Spread and dependence of samples: MAD, variation between launches, autocorrelation, effective sample size."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

MAD_TO_SD = 1.4826
"""1 / Phi^-1(3/4): what turns a MAD into a standard deviation for normal data."""
_FEW_LAGS = 64


def mad(values: ArrayLike) -> float:
    """The median absolute deviation from the median, unscaled, in the values' unit."""
    data = _checked(values)
    return float(np.median(np.abs(data - np.median(data))))


def share_beyond(values: ArrayLike, multiple: float = 3.0) -> float:
    """The share of values more than `multiple` scaled MADs from the median. Nothing is deleted; this is told.

    Where more than half of the values are equal the MAD is 0 and every other value counts.
    """
    data = _checked(values)
    return float((np.abs(data - np.median(data)) > multiple * MAD_TO_SD * mad(data)).mean())


def coefficient_of_variation(values: ArrayLike) -> float | None:
    """Standard deviation (n - 1) over mean; None with fewer than two values or a mean of 0."""
    data = _checked(values)
    mean = float(data.mean())
    if data.size < 2 or mean == 0:
        return None
    return float(data.std(ddof=1) / abs(mean))


def lag1_autocorrelation(values: ArrayLike) -> float | None:
    """The correlation of each sample with the next, in time order; None where it is not defined.

    Undefined with fewer than 3 values or without any variation.
    """
    return _dependence(_checked(values))[0]


def effective_sample_size(values: ArrayLike) -> float | None:
    """How many independent samples would know the mean as well as these; None where it is not defined.

    n / (1 + 2 sum rho_t), the sum ending with the first pair rho_2t + rho_2t+1 that is not positive
    (initial positive sequence, Geyer 1992). Between 1 and n.
    """
    return _dependence(_checked(values))[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The spread of one launch's samples: `mad` and the others as the functions of this module give them."""

    mad: float
    far_share: float
    lag1: float | None
    effective_samples: float | None


def describe(values: ArrayLike) -> Spread:
    """All of them at once, at a fraction of the cost of calling each."""
    data = _checked(values)
    deviations = np.sort(np.abs(data - _middle(np.sort(data))))
    width = _middle(deviations)
    far = data.size - int(np.searchsorted(deviations, 3.0 * MAD_TO_SD * width, side="right"))
    lag1, effective = _dependence(data)
    return Spread(mad=width, far_share=far / data.size, lag1=lag1, effective_samples=effective)


def autocorrelation(values: ArrayLike) -> Floats:
    """The correlation with itself at lags 0 ... n - 1 (biased estimate, by FFT). The values must vary."""
    data = _checked(values)
    centred = data - data.mean()
    spectrum = np.fft.rfft(centred, 2 * data.size)
    covariance = np.fft.irfft(spectrum * np.conj(spectrum), 2 * data.size)[: data.size]
    return np.asarray(covariance / covariance[0])


def _dependence(data: Floats) -> tuple[float | None, float | None]:
    """Lag-1 autocorrelation and effective sample size, or None twice where there is no variation."""
    n = data.size
    centred = data - data.sum() / n
    power = float(centred @ centred)
    if n < 3 or power <= (1e-12 * float(np.abs(data).max())) ** 2 * n:
        return None, None
    return float(centred[:-1] @ centred[1:]) / power, _effective(centred, power)


def _effective(centred: Floats, power: float) -> float:
    """Geyer's sum. Most samples need few lags, which cost less one by one than all of them by FFT."""
    n = centred.size
    total, lag = 0.0, 0
    every: Floats | None = None
    while lag + 1 < n:
        if lag < _FEW_LAGS:
            pair = (
                float(centred[: n - lag] @ centred[lag:]) + float(centred[: n - lag - 1] @ centred[lag + 1 :])
            ) / power
        else:
            every = autocorrelation(centred) if every is None else every
            pair = float(every[lag] + every[lag + 1])
        if pair <= 0:
            break
        total += pair
        lag += 2
    inflation = 2 * total - 1
    return float(min(max(n / inflation, 1.0), n)) if inflation > 0 else float(n)


def _middle(ordered: Floats) -> float:
    return float(ordered[(ordered.size - 1) // 2] + ordered[ordered.size // 2]) / 2


def _checked(values: ArrayLike) -> Floats:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or data.size == 0 or not np.isfinite(data).all():
        raise ValueError("spread needs a list of at least one finite value")
    return data
