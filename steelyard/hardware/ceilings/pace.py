"""How long one call takes: as many calls as fill a sample, in three groups, the middle one of which counts."""

import time
from collections.abc import Callable
from statistics import median

Calls = Callable[[int], None]
"""Makes so many calls and returns when the last one is complete."""

_GROUPS = 3
_MOST_CALLS = 1 << 20


def calls_within(calls: Calls, seconds: float) -> int:
    """How many calls fit into a time, at least one: doubled until they fill a quarter of it, then by proportion."""
    count = 1
    while True:
        taken = timed(calls, count)
        if taken >= seconds / 4 or count >= _MOST_CALLS:
            return max(1, min(_MOST_CALLS, round(count * seconds / max(taken, 1e-9))))
        count *= 2


def second_per_call(calls: Calls, count: int) -> float:
    """Seconds of one call: the middle of three groups of `count` calls each."""
    return median(timed(calls, count) for _ in range(_GROUPS)) / count


def per_group(sample_s: float) -> float:
    """Seconds of one group of a sample."""
    return sample_s / _GROUPS


def timed(calls: Calls, count: int) -> float:
    """Seconds that so many calls take."""
    begun = time.perf_counter()
    calls(count)
    return time.perf_counter() - begun
