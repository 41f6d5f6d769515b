"""A counter that wraps around, read now and then, as joules that only grow."""

import time
from dataclasses import dataclass

from steelyard.guard.gate import power
from steelyard.guard.meter_readings import Count, Fault

PLAUSIBLE_W = 2000.0
"""More than any package or board draws. A counter that was reset looks like a wrap with an impossible power."""


@dataclass(slots=True)
class Unwrapped:
    """The state of one counter between reads. Not thread safe: its source reads it inside a lock.

    `unit_j` is what one step is worth, `range_` the number of steps after which it begins again, None if unknown;
    `endless` says that it never does, and `slack_s` how late a step may show.
    """

    unit_j: float
    range_: int | None
    slack_s: float
    endless: bool = False
    plausible_w: float = PLAUSIBLE_W
    last: int | None = None
    last_ns: int = 0
    total: int = 0
    faults: int = 0
    fault: Fault | None = None

    def advance(self, raw: int | Fault, now_ns: int, watts: float | None = None) -> Count:
        """Take a raw value read at `now_ns`, or why none could be read."""
        if isinstance(raw, Fault):
            self._lose(raw)
            self.last = None
            return Count(t_ns=now_ns, joules=None, faults=self.faults, fault=raw)
        if self.last is not None:
            self.total += self._delta(raw - self.last, (now_ns - self.last_ns) / 1e9)
        self.last, self.last_ns = raw, now_ns
        return Count(t_ns=now_ns, joules=self.total * self.unit_j, watts=watts, faults=self.faults, fault=self.fault)

    @property
    def longest_gap_s(self) -> float:
        """Half the range at the largest plausible power."""
        return float("inf") if self.range_ is None else self.range_ * self.unit_j / self.plausible_w / 2

    def _delta(self, delta: int, seconds: float) -> int:
        if delta < 0 and self.endless:
            self._lose(Fault(code="counter_reset", detail="the counter went backwards: it was reset"))
            return 0
        if delta < 0 and self.range_ is None:
            self._lose(Fault(code="wrapped_unknown", detail="the counter went backwards and its range is unknown"))
            return 0
        if seconds > self.longest_gap_s * 2:
            detail = f"{seconds:.3g} s between two reads, in which the counter may have wrapped more than once"
            self._lose(Fault(code="wrapped_unknown", detail=detail))
            return 0
        if delta < 0:
            delta += self.range_ or 0
        if delta < 0 or delta * self.unit_j > self.plausible_w * (seconds + self.slack_s):
            watts = delta * self.unit_j / seconds if seconds > 0 else float("inf")
            detail = f"the counter jumped as if {watts:.0f} W had been drawn: it was reset"
            self._lose(Fault(code="counter_reset", detail=detail))
            return 0
        return delta

    def _lose(self, fault: Fault) -> None:
        self.faults += 1
        self.fault = fault


@dataclass(slots=True)
class Integrated:
    """Joules from power that was read now and then: the trapezoidal rule between reads."""

    last_w: float | None = None
    last_ns: int = 0
    joules: float = 0.0
    faults: int = 0
    fault: Fault | None = None

    def advance(self, watts: float | Fault, now_ns: int | None = None) -> Count:
        """Take a power read at `now_ns`, or why none could be read."""
        now = time.monotonic_ns() if now_ns is None else now_ns
        watts = power(watts)
        if isinstance(watts, Fault):
            self.faults += 1
            self.fault, self.last_w = watts, None
            return Count(t_ns=now, joules=None, faults=self.faults, fault=watts)
        if self.last_w is not None:
            self.joules += (self.last_w + watts) / 2 * (now - self.last_ns) / 1e9
        self.last_w, self.last_ns = watts, now
        return Count(t_ns=now, joules=self.joules, watts=watts, faults=self.faults, fault=self.fault)
