"""Many arrays at once: those of one length as the rows of a matrix, which numpy goes through at a fraction of the cost.

What is computed along the last axis of such a matrix is what each row alone would give, to the last bit.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

_VALUES_AT_ONCE = 1 << 21


def alike(
    samples: Sequence[ArrayLike], at_once: int = _VALUES_AT_ONCE
) -> Iterator[tuple[list[int], NDArray[np.float64]]]:
    """Arrays of one length together: their places, and a matrix (a copy) with a row for each.

    A matrix holds `at_once` values at most (or one row), so that long runs need little memory.
    """
    places: dict[int, list[int]] = {}
    for place, values in enumerate(samples):
        places.setdefault(np.size(values), []).append(place)
    for size, group in places.items():
        step = max(1, at_once // max(1, size))
        for start in range(0, len(group), step):
            part = group[start : start + step]
            yield part, np.array([samples[place] for place in part], dtype=np.float64)
