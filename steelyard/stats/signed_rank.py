"""The signed-rank statistic: its exact distribution without ties, interval indices, and p-values.

W is the sum of the ranks of the positive values among n values ranked by magnitude; under the null
hypothesis (symmetric about zero) each rank counts with probability one half (Wilcoxon 1945).
"""

import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steelyard.stats.alike import alike

Floats = NDArray[np.float64]

EXACT_UP_TO = 100
"""Above this many values the normal approximation is used; at 100 its error in P(W <= w) is under 0.001."""


@cache
def cumulative(n: int) -> Floats:
    """P(W <= w) for w = 0 ... n(n+1)/2, exact, for n values without ties. Read-only.

    Each rank r shifts half of the probability by r: a table of n steps. Cached per n; each table is
    built from the one before, so that asking for n fills in all smaller ones at the cost of the last.
    """
    total = np.cumsum(_mass(n))
    total.setflags(write=False)
    return total


@cache
def critical(n: int, confidence: float) -> int | None:
    """The largest k with P(W <= k) <= (1 - confidence) / 2, or None if n is too small for that level.

    The interval of that confidence runs from the k-th to the (M-1-k)-th of the M sorted Walsh
    averages, both counted from 0. Above `EXACT_UP_TO` values k comes from the normal approximation.
    """
    tail = (1 - confidence) / 2
    if n < 1:
        return None
    if n <= EXACT_UP_TO:
        # a relative hair's breadth, so that e.g. 1/128 counts as being within a tail computed as 1 - 127/128
        k = int(np.searchsorted(cumulative(n), tail * (1 + 1e-9), side="right")) - 1
        return k if k >= 0 else None
    mean, sd = _moments(n)
    return max(0, math.floor(mean - NormalDist().inv_cdf(1 - tail) * sd - 0.5))


def attained(n: int, k: int) -> float:
    """The confidence that the interval with index k really has: 1 - 2 P(W <= k)."""
    return 1 - 2 * lower_tail(n, k)


def lower_tail(n: int, w: int) -> float:
    """P(W <= w) for n values without ties; 0 below 0."""
    if w < 0:
        return 0.0
    if n <= EXACT_UP_TO:
        table = cumulative(n)
        return float(table[min(w, len(table) - 1)])
    mean, sd = _moments(n)
    return NormalDist().cdf((w + 0.5 - mean) / sd)


def p_value(values: ArrayLike) -> float | None:
    """Two-sided p-value of the hypothesis that the values are symmetric about zero; None without values.

    Zeros say nothing about the sign and are left out (Wilcoxon's rule); all zeros give 1. Tied
    magnitudes share their mean rank, and the distribution is then the exact one given those ranks,
    up to `EXACT_UP_TO` values; above, the normal approximation with the tie-corrected variance.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        return None
    data = data[data != 0]
    if data.size == 0:
        return 1.0
    order = np.argsort(np.abs(data))
    magnitudes = np.abs(data[order])
    if data.size <= EXACT_UP_TO and (np.diff(magnitudes) > 0).all():
        positive = int(np.flatnonzero(data[order] > 0).sum()) + int((data > 0).sum())
        return min(1.0, 2 * lower_tail(data.size, min(positive, data.size * (data.size + 1) // 2 - positive)))
    doubled = _doubled_ranks(np.abs(data))
    positive = int(doubled[data > 0].sum())
    total = int(doubled.sum())
    low = min(positive, total - positive)
    if data.size <= EXACT_UP_TO:
        mass = np.zeros(total + 1)
        mass[0] = 1.0
        for rank in doubled:
            mass[rank:] = mass[rank:] + mass[: total + 1 - rank]
            mass /= 2
        return min(1.0, 2 * float(mass[: low + 1].sum()))
    sd = math.sqrt(float((doubled.astype(np.float64) ** 2).sum())) / 2
    return min(1.0, 2 * NormalDist().cdf((low + 1 - total / 2) / sd))


def p_values(samples: Sequence[ArrayLike]) -> list[float | None]:
    """`p_value` of each of many samples, at a fraction of the cost: those of one size are ranked together.

    Samples with zeros or tied magnitudes, and those above `EXACT_UP_TO`, are seldom, and taken one by one.
    """
    found: list[float | None] = [None] * len(samples)
    for places, rows in alike(samples):
        n = rows.shape[-1]
        if not n:
            continue
        order = np.argsort(np.abs(rows), axis=-1)
        ranked = np.take_along_axis(rows, order, axis=-1)
        steps = np.diff(np.abs(ranked), axis=-1, prepend=0.0)
        plain = (steps > 0).all(axis=-1) & (n <= EXACT_UP_TO)
        positive = (ranked > 0) @ np.arange(1, n + 1)
        least = np.minimum(positive, n * (n + 1) // 2 - positive)
        for place, row, simple, w in zip(places, rows, plain.tolist(), least.tolist(), strict=True):
            found[place] = min(1.0, 2 * lower_tail(n, w)) if simple else p_value(row)
    return found


@cache
def _mass(n: int) -> Floats:
    if n == 0:
        return np.ones(1)
    before = _mass(n - 1)
    mass = np.zeros(n * (n + 1) // 2 + 1)
    mass[: len(before)] = before
    mass[n:] += before
    mass /= 2
    return mass


def _moments(n: int) -> tuple[float, float]:
    return n * (n + 1) / 4, math.sqrt(n * (n + 1) * (2 * n + 1) / 24)


def _doubled_ranks(magnitudes: Floats) -> NDArray[np.int64]:
    """Twice the mean ranks, which are whole numbers."""
    _, inverse, counts = np.unique(magnitudes, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (2 * last - counts + 1)[inverse]
