"""Families of tests: adjusted p-values, and the confidence at which each interval may be read.

Holm (1979) bounds the chance of a single false claim in the family; Benjamini and Hochberg (1995)
bound the expected share of false claims among the claims.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def holm(p_values: ArrayLike) -> Floats:
    """Adjusted p-values in the given order: reject at alpha where they are at most alpha."""
    p, order = _ordered(p_values)
    m = p.size
    stepped = np.maximum.accumulate(p[order] * (m - np.arange(m)))
    return _back(np.minimum(stepped, 1.0), order)


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Adjusted p-values in the given order: reject at rate alpha where they are at most alpha."""
    p, order = _ordered(p_values)
    m = p.size
    scaled = p[order] * m / np.arange(1, m + 1)
    stepped = np.minimum.accumulate(scaled[::-1])[::-1]
    return _back(np.minimum(stepped, 1.0), order)


def holm_confidences(p_values: ArrayLike, alpha: float = 0.05) -> Floats:
    """The confidence of each interval under Holm: 1 - alpha / (m - r) for the r-th smallest p (r from 0).

    An interval at this level leaves the null region exactly when Holm's step at that rank rejects. Equal
    p-values, common with rank tests, share the strictest level among them, so that order does not matter.
    """
    p, _ = _ordered(p_values)
    return np.asarray(1 - alpha / (p.size - np.searchsorted(np.sort(p), p, side="left")))


def false_coverage_confidence(p_values: ArrayLike, alpha: float = 0.05) -> float:
    """The confidence of the intervals of those that Benjamini-Hochberg selects: 1 - R alpha / m.

    R is the number selected, at least 1. Then the expected share of selected intervals that miss the
    truth is at most alpha (Benjamini and Yekutieli 2005). An empty family gives 1 - alpha.
    """
    adjusted = benjamini_hochberg(p_values)
    if adjusted.size == 0:
        return 1 - alpha
    selected = max(1, int((adjusted <= alpha).sum()))
    return 1 - selected * alpha / adjusted.size


def _ordered(p_values: ArrayLike) -> tuple[Floats, NDArray[np.intp]]:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p-values are a list of numbers between 0 and 1")
    return p, np.argsort(p, kind="stable")


def _back(values: Floats, order: NDArray[np.intp]) -> Floats:
    result = np.empty_like(values)
    result[order] = values
    return result
