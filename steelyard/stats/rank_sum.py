"""The rank-sum statistic of two samples: its exact distribution without ties, and interval indices.

U counts the pairs (x, y) with y - x below some value; under the null hypothesis (equal distributions)
every interleaving of the m + n values is equally likely (Mann and Whitney 1947).
"""

import math
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

EXACT_UP_TO = 40
"""With a sample larger than this the normal approximation is used; beyond it the error in P(U <= u) is under 0.001."""


@cache
def cumulative(m: int, n: int) -> NDArray[np.float64]:
    """P(U <= u) for u = 0 ... m n, exact, for samples of m and n values without ties. Read-only.

    The generating function is the Gaussian binomial: the product over i = 1 ... m of
    (1 - q^(n+i)) / (1 - q^i), scaled by 1 / C(m+n, m); whole numbers, hence exact.
    """
    counts = [0] * (m * n + 1)
    counts[0] = 1
    for i in range(1, m + 1):
        for u in range(m * n, n + i - 1, -1):
            counts[u] -= counts[u - n - i]
        for u in range(i, m * n + 1):
            counts[u] += counts[u - i]
    ways = math.comb(m + n, m)
    total, table = 0, []
    for count in counts:
        total += count
        table.append(total / ways)
    result = np.array(table)
    result.setflags(write=False)
    return result


def critical(m: int, n: int, confidence: float) -> int | None:
    """The largest k with P(U <= k) <= (1 - confidence) / 2, or None if the samples are too small for that level."""
    tail = (1 - confidence) / 2
    if m < 1 or n < 1:
        return None
    if max(m, n) <= EXACT_UP_TO:
        k = int(np.searchsorted(cumulative(min(m, n), max(m, n)), tail * (1 + 1e-9), side="right")) - 1
        return k if k >= 0 else None
    mean, sd = m * n / 2, math.sqrt(m * n * (m + n + 1) / 12)
    k = math.floor(mean - NormalDist().inv_cdf(1 - tail) * sd - 0.5)
    return k if k >= 0 else None


def lower_tail(m: int, n: int, u: int) -> float:
    """P(U <= u) for samples of m and n values without ties; 0 below 0."""
    if u < 0:
        return 0.0
    if max(m, n) <= EXACT_UP_TO:
        table = cumulative(min(m, n), max(m, n))
        return float(table[min(u, len(table) - 1)])
    mean, sd = m * n / 2, math.sqrt(m * n * (m + n + 1) / 12)
    return NormalDist().cdf((u + 0.5 - mean) / sd)
