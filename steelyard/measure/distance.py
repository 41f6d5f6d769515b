"""How far arrays lie apart. Equal infinities do not differ, and have no size: -inf may be meant, as in a mask."""

from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.core.closeness import BEYOND, LEVELS, allowed

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]
else:
    Array = np.ndarray


def difference(actual: Array, reference: Array) -> Array:
    """Element by element; both are float64 and of one shape."""
    if np.isfinite(reference).all():
        return actual - reference
    with np.errstate(invalid="ignore"):
        return np.where(actual == reference, 0.0, actual - reference)


def alike_finite(actual: Array, reference: Array) -> bool:
    """Whether `actual` is finite wherever the reference is, and the same infinity wherever that is not."""
    return bool((np.isfinite(actual) & np.isfinite(reference) | (actual == reference)).all())


def finite(values: Array) -> Array:
    """Those that are neither infinite nor NaN."""
    kept = np.isfinite(values)
    return values if kept.all() else values[kept]


def norm(values: Array) -> float:
    """The 2-norm without BLAS, whose threads would fight for the CPUs with those of the runtime under test."""
    return float(np.sqrt(np.square(values).sum()))


def level(apart: Array, reference: Array, dtype: str, lowest: int = LEVELS.start) -> int:
    """The lowest tolerance level, from `lowest` on, at which every element is close enough; BEYOND where none is.

    `apart` is the difference from the reference, element by element; `dtype` is that of the output and has levels.
    """
    size, scale = np.abs(apart), np.abs(reference)
    for number in range(lowest, BEYOND):
        absolute, relative = allowed(number, dtype)
        if (size <= absolute + relative * scale).all():
            return number
    return BEYOND
