"""How often a meter moves, found by watching it: drivers differ, and what is declared is often wrong."""

import itertools
import statistics
import time
from collections.abc import Callable

from steelyard.guard.energy_source import EnergySource

CHANGES = 20
LIMIT_S = 2.5
_LOOKS = 20
"""Looks at the meter in one declared period: the found period is exact to a part of that."""


def measure_period(
    source: EnergySource,
    clock_ns: Callable[[], int] = time.monotonic_ns,
    sleep: Callable[[float], None] = time.sleep,
    limit_s: float = LIMIT_S,
) -> bool:
    """Set the source's `update_period_s` to the median distance of changes, and say whether enough were seen.

    Where the meter moves less than 4 times before the limit, what is declared stays.
    """
    pause = min(max(source.update_period_s / _LOOKS, 50e-6), 5e-3)
    changes: list[int] = []
    begun = clock_ns()
    last = _shown(source)
    while len(changes) <= CHANGES and clock_ns() - begun < limit_s * 1e9:
        sleep(pause)
        now = _shown(source)
        if now != last:
            changes.append(clock_ns())
            last = now
    gaps = [(late - early) / 1e9 for early, late in itertools.pairwise(changes)]
    if len(gaps) < 3:
        return False
    source.update_period_s = statistics.median(gaps)
    return True


def _shown(source: EnergySource) -> tuple[float | None, ...]:
    return tuple(count.joules if source.kind == "counter" else count.watts for count in source.read().values())
