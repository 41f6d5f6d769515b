"""What a meter tells and may be believed: finite, not negative, never backwards. Every reading passes here."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from steelyard.guard.meter_readings import Count, Counts, Domain, Fault

HIGHEST_W = 1e5
"""More than a rack draws. What a driver does not know it may tell as all ones, which is 4 MW in 32 bits of mW."""
_ROUNDING = 1e-9


def power(watts: float | Fault) -> float | Fault:
    """A power as it was read, or why it is none."""
    if isinstance(watts, Fault) or 0 <= watts <= HIGHEST_W:
        return watts
    return Fault(code="garbage", detail=f"the meter told {watts:g} W")


def raised(error: Exception) -> Fault:
    """Why there is no number where the code of a meter raised."""
    return Fault(code="garbage", detail=f"the meter raised {type(error).__name__}: {error}")


@dataclass(slots=True)
class Gate:
    """What was believed so far of one source, by the domain's id. Not thread safe: its source reads inside a lock.

    A count that is refused has no joules, and from there on its domain has one fault more: a window over it has no
    energy, and the next one has.
    """

    _last: dict[str, Count] = field(default_factory=dict)
    _refused: dict[str, tuple[int, Fault]] = field(default_factory=dict)

    def passed(self, counts: Counts) -> Counts:
        """The counts of the next read, without a number where they cannot be true."""
        return {name: self._passed(name, count) for name, count in counts.items()}

    def failed(self, domains: Iterable[Domain], t_ns: int, error: Exception) -> Counts:
        """The counts of a read that raised."""
        fault = raised(error)
        return {domain.id: self._refuse(domain.id, Count(t_ns=t_ns, joules=None), fault) for domain in domains}

    def _passed(self, name: str, count: Count) -> Count:
        fault = _objection(count, self._last.get(name))
        if fault is not None:
            return self._refuse(name, count, fault)
        if count.joules is not None:
            self._last[name] = count
        if count.watts is not None and isinstance(power(count.watts), Fault):
            count = replace(count, watts=None)  # told beside a counter: no cross-check then
        return self._marked(name, count)

    def _refuse(self, name: str, count: Count, fault: Fault) -> Count:
        self._refused[name] = self._refused.get(name, (0, fault))[0] + 1, fault
        self._last.pop(name, None)
        return self._marked(name, replace(count, joules=None, watts=None, fault=fault))

    def _marked(self, name: str, count: Count) -> Count:
        times, fault = self._refused.get(name, (0, None))
        return replace(count, faults=count.faults + times, fault=count.fault or fault)


def _objection(count: Count, last: Count | None) -> Fault | None:
    if count.joules is None:
        return None
    if not math.isfinite(count.joules):
        return Fault(code="garbage", detail=f"the meter told {count.joules:g} J")
    if last is None or last.joules is None:
        return None
    if count.t_ns < last.t_ns:
        return Fault(code="garbage", detail="the time of the meter went backwards")
    if count.joules < last.joules - _ROUNDING * abs(last.joules):
        detail = f"the meter fell from {last.joules:.6g} J to {count.joules:.6g} J"
        return Fault(code="counter_reset", detail=detail)
    return None
