"""Spread and dependence of samples: MAD, variation between launches, autocorrelation, effective sample size."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

MAD_TO_SD = 1.4826
"""1 / Phi^-1(3/4): what turns a MAD into a standard deviation for normal data."""


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
    data = _checked(values)
    centred = data - data.mean()
    power = float(centred @ centred)
    if data.size < 3 or power <= (1e-12 * float(np.abs(data).max())) ** 2 * data.size:
        return None
    return float(centred[:-1] @ centred[1:]) / power


def effective_sample_size(values: ArrayLike) -> float | None:
    """How many independent samples would know the mean as well as these; None where it is not defined.

    n / (1 + 2 sum rho_t), the sum ending with the first pair rho_2t + rho_2t+1 that is not positive
    (initial positive sequence, Geyer 1992). Between 1 and n.
    """
    data = _checked(values)
    if lag1_autocorrelation(data) is None:
        return None
    rho = autocorrelation(data)
    even = rho[: rho.size // 2 * 2].reshape(-1, 2).sum(axis=1)
    stop = int(np.argmax(even <= 0)) if (even <= 0).any() else even.size
    inflation = 2 * float(even[:stop].sum()) - 1
    return float(np.clip(data.size / inflation, 1.0, data.size)) if inflation > 0 else float(data.size)


def autocorrelation(values: ArrayLike) -> Floats:
    """The correlation with itself at lags 0 ... n - 1 (biased estimate, by FFT). The values must vary."""
    data = _checked(values)
    centred = data - data.mean()
    spectrum = np.fft.rfft(centred, 2 * data.size)
    covariance = np.fft.irfft(spectrum * np.conj(spectrum), 2 * data.size)[: data.size]
    return np.asarray(covariance / covariance[0])


def _checked(values: ArrayLike) -> Floats:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or data.size == 0 or not np.isfinite(data).all():
        raise ValueError("spread needs a list of at least one finite value")
    return data
