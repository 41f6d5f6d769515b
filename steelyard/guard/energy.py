"""Energy: sources that count joules, and windows over them. Unknown is None with a reason code, never 0."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from steelyard.core.metrics import Reading, absent

Kind = Literal["counter", "power_sampled", "external", "model"]
Boundary = Literal["package", "core", "uncore", "dram", "psys", "gpu_board", "gpu_module", "soc_rail", "wall"]
Quality = Literal["measured_counter", "integrated_samples", "estimated_model", "unavailable"]
Code = Literal[
    "no_device",
    "no_permission",
    "not_supported",
    "too_short",
    "counter_reset",
    "wrapped_unknown",
    "vanished",
    "garbage",
    "mig_shared",
]

MINIMUM_PERIODS = 50
"""A window must hold so many updates of the counter: its two ends are then uncertain by at most 4 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a number is not there: a code for programs, a sentence for people."""

    code: Code
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A part of the machine with a meter of its own. `contains` are the ids of domains inside it."""

    id: str
    boundary: Boundary
    contains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A domain's unwrapped counter: joules since the source was opened.

    `faults` is how often it has lost its thread (reset, unknown wrap, unreadable); a window over
    which it grew has no energy. `fault` is the latest; set without a value where nothing can be read.
    """

    t_ns: int
    joules: float | None
    faults: int = 0
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """The energy of one window in one domain, or over several of them."""

    joules: float | None
    quality: Quality
    window_s: float
    boundary: str
    fault: Fault | None = None
    uncertainty_j: float | None = None

    def per(self, count: int) -> Reading:
        """Joules of one of `count` equal calls made in the window, as a stored reading."""
        if self.joules is None or count < 1:
            reason = f"{self.fault.code}: {self.fault.detail}" if self.fault else "too_short: no call in the window"
            return absent("J", reason)
        return Reading(value=self.joules / count, unit="J", method=f"{self.quality}, {self.boundary}")


class EnergySource(ABC):
    """Cumulative counters behind one interface. `read` is thread safe and unwraps inside one lock."""

    kind: ClassVar[Kind]
    update_period_s: float
    """How often the counters move."""

    @abstractmethod
    def domains(self) -> tuple[Domain, ...]:
        """What it can meter here."""

    @abstractmethod
    def read(self) -> Mapping[str, Count]:
        """Every domain's counter now. Never raises for a meter that fails: the count says so."""

    @property
    @abstractmethod
    def longest_gap_s(self) -> float:
        """Reads must not lie further apart than this, or a counter may have wrapped twice unseen."""

    def close(self) -> None:  # noqa: B027 (optional)
        """Release the meter."""


class Absent(EnergySource):
    """The source of a machine without a meter: every window is null with this reason."""

    kind: ClassVar[Kind] = "counter"

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.update_period_s = 0.0

    def domains(self) -> tuple[Domain, ...]:
        """None."""
        return ()

    def read(self) -> Mapping[str, Count]:
        """Nothing."""
        return {}

    @property
    def longest_gap_s(self) -> float:
        """Nothing can wrap."""
        return float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """An open window: the counters at its start."""

    opened_ns: int
    counts: Mapping[str, Count]


class Meter:
    """Windows over one source. The worker opens one before a case's timed window and closes it after."""

    def __init__(self, source: EnergySource, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.source = source
        self._clock_ns = clock_ns

    def open_window(self) -> Window:
        """Read every counter; the cost is one small file or one driver call per domain."""
        counts = self.source.read()
        return Window(opened_ns=self._clock_ns(), counts=counts)

    def close_window(self, window: Window) -> Energy:
        """The energy of the largest domains that do not contain each other, together."""
        parts = self.close_domains(window)
        seconds = (self._clock_ns() - window.opened_ns) / 1e9
        if isinstance(self.source, Absent):
            return _unavailable(self.source.fault, seconds, "")
        chosen = outermost(self.source.domains())
        boundary = "+".join(domain.id for domain in chosen)
        joules = uncertainty = 0.0
        for domain in chosen:
            part = parts[domain.id]
            if part.joules is None:
                return _unavailable(part.fault or _VANISHED, seconds, boundary)
            joules += part.joules
            uncertainty += part.uncertainty_j or 0.0
        if not chosen:
            return _unavailable(Fault(code="no_device", detail="the source has no domain"), seconds, boundary)
        quality = parts[chosen[0].id].quality
        return Energy(joules=joules, quality=quality, window_s=seconds, boundary=boundary, uncertainty_j=uncertainty)

    def close_domains(self, window: Window) -> Mapping[str, Energy]:
        """The energy of each domain by itself; they may contain each other and must not be added up."""
        now = self.source.read()
        return {
            domain.id: self._difference(domain, window.counts.get(domain.id), now.get(domain.id))
            for domain in self.source.domains()
        }

    def _difference(self, domain: Domain, start: Count | None, end: Count | None) -> Energy:
        if start is None or end is None:
            return _unavailable(_VANISHED, 0.0, domain.id)
        seconds = (end.t_ns - start.t_ns) / 1e9
        for count in (start, end):
            if count.joules is None:
                return _unavailable(count.fault or _VANISHED, seconds, domain.id)
        if end.faults != start.faults:
            return _unavailable(end.fault or _VANISHED, seconds, domain.id)
        period = self.source.update_period_s
        if seconds < MINIMUM_PERIODS * period:
            detail = f"{seconds:.3g} s, but the counter moves every {period:g} s and {MINIMUM_PERIODS} steps are needed"
            return _unavailable(Fault(code="too_short", detail=detail), seconds, domain.id)
        joules = (end.joules or 0.0) - (start.joules or 0.0)
        if joules == 0.0:
            detail = f"the counter did not move in {seconds:.3g} s"
            return _unavailable(Fault(code="not_supported", detail=detail), seconds, domain.id)
        return Energy(
            joules=joules,
            quality="measured_counter" if self.source.kind == "counter" else "integrated_samples",
            window_s=seconds,
            boundary=domain.id,
            uncertainty_j=joules * 2 * period / seconds,
        )


def outermost(domains: tuple[Domain, ...]) -> tuple[Domain, ...]:
    """The domains that no other one contains: adding them up counts nothing twice."""
    inside = {name for domain in domains for name in domain.contains}
    return tuple(domain for domain in domains if domain.id not in inside)


_VANISHED = Fault(code="vanished", detail="the meter is no longer there")


def _unavailable(fault: Fault, seconds: float, boundary: str) -> Energy:
    return Energy(joules=None, quality="unavailable", window_s=seconds, boundary=boundary, fault=fault)
