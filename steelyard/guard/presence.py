"""Whether the supervisor was there while it waited: not if it was stopped (SIGSTOP, Ctrl-Z), kept from the CPU, held up
by a terminal that took no output, or asleep with the whole machine.

It looks at a clock twice a second, on one that runs on while a machine sleeps: what lies between two looks beyond
that, it was away. Not by a signal: most ways of being away send none. And not only when something happens: a container
that was frozen inside a long window and woke before its end would have been there whenever it looked.
"""

import selectors
import time
from collections.abc import Callable

from steelyard.core.metrics import Reading

BEAT_S = 0.5
LATE_S = 0.5
"""A process that waits for a CPU is late by milliseconds. What is missed unnoticed is at most a beat and this."""


def boot_time_s() -> float:
    """Seconds since the machine was started, those included in which it slept (on Linux)."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Presence:
    """From when it is made, `away_s` seconds were missed."""

    def __init__(self, clock: Callable[[], float] = boot_time_s) -> None:
        self.away_s = 0.0
        self._clock = clock
        self._looked_s = clock()

    def time_s(self) -> float:
        """A clock that stands while the supervisor is away, as far as that is known: time-outs go by it."""
        return self._clock() - self.away_s

    def begin(self) -> None:
        """It waits for something anew: what was since it last looked is not looked at."""
        self._looked_s = self._clock()

    def select(self, selector: selectors.BaseSelector, until_s: float) -> set[int]:
        """The descriptors that are ready; none if it is `until_s` on its clock before any is."""
        while True:
            wait_s = min(BEAT_S, until_s - self.time_s())
            ready = {key.fd for key, _ in selector.select(max(0.0, wait_s))}
            self._look()
            if ready or self.time_s() >= until_s:
                return ready

    def reading(self) -> Reading:
        """How long it was away until now, for the record of a launch."""
        return Reading(value=self.away_s, unit="s", method=f"a clock that runs on in sleep, every {BEAT_S:g} s")

    def _look(self) -> None:
        now = self._clock()
        missed, self._looked_s = now - self._looked_s - BEAT_S, now
        if missed > LATE_S:
            self.away_s += missed
