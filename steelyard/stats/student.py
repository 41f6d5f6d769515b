"""Student's t with a whole number of degrees of freedom, exactly: of few values a normal quantile would be wrong."""

import math
from functools import cache
from statistics import NormalDist

_STEPS = 60


def cdf(t: float, df: int) -> float:
    """P(T <= t): the finite series of Abramowitz and Stegun 26.7.3 and 26.7.4, with the angle atan(t / sqrt(df))."""
    angle = math.atan2(t, math.sqrt(df))
    cosine_squared, term = math.cos(angle) ** 2, 1.0
    total = 0.0
    for step in range(df % 2, df, 2):
        total += term
        term *= cosine_squared * (step + 1) / (step + 2)
    if df % 2:
        return 0.5 + (angle + math.sin(angle) * math.cos(angle) * total) / math.pi
    return 0.5 + math.sin(angle) * total / 2


@cache
def quantile(p: float, df: int) -> float:
    """The t with P(T <= t) = p, for p strictly between 0 and 1: found by halving, to the last bits of a float."""
    if not (0 < p < 1 and df >= 1):
        raise ValueError("a quantile needs a probability between 0 and 1 and at least one degree of freedom")
    if p < 0.5:
        return -quantile(1 - p, df)
    low, high = 0.0, 1.0 + abs(NormalDist().inv_cdf(p))
    while cdf(high, df) < p:
        low, high = high, 2 * high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if cdf(middle, df) < p else (low, middle)
    return (low + high) / 2
