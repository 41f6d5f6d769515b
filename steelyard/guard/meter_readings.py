"""Energy: what meters tell, and what is known of a window. Unknown is None with a reason code, never 0."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from steelyard.core.energy import Boundary, Quality
from steelyard.core.metrics import Reading, absent

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
    "off_the_log",
]

MINIMUM_PERIODS = 50
"""A window must hold so many updates of the counter: its two ends are then uncertain by at most 4 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a number is not there: a code for programs, a sentence for people."""

    code: Code
    detail: str

    @property
    def text(self) -> str:
        """Both, as a stored reading has them."""
        return f"{self.code}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A part of the machine with a meter of its own. `contains` are the ids of domains inside it."""

    id: str
    boundary: Boundary
    contains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A domain's unwrapped counter: joules since the source was opened, and its power at that moment where it is told.

    `faults` is how often it has lost its thread (reset, unknown wrap, unreadable); a window over
    which it grew has no energy. `fault` is the latest; set without a value where nothing can be read.
    """

    t_ns: int
    joules: float | None
    watts: float | None = None
    faults: int = 0
    fault: Fault | None = None


Counts = Mapping[str, Count]
"""Every domain's counter at one read, by the domain's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """The energy of one window in one domain, or over several of them.

    `uncertainty_j` bounds what the meter's period, resolution or sampling can make of it in 99 of 100 windows; what
    the sensor itself is off by is not in it. `integral_j` is the integral of the power told beside the counter.
    """

    joules: float | None
    quality: Quality
    window_s: float
    boundary: str
    fault: Fault | None = None
    uncertainty_j: float | None = None
    integral_j: float | None = None

    def per(self, count: int) -> Reading:
        """Joules of one of `count` equal calls made in the window, as a stored reading."""
        if self.joules is None or count < 1:
            return absent("J", self.fault.text if self.fault else "too_short: no call in the window")
        return Reading(value=self.joules / count, unit="J", method=f"{self.quality}, {self.boundary}")


def outermost(domains: tuple[Domain, ...]) -> tuple[Domain, ...]:
    """The domains that no other one contains: adding them up counts nothing twice."""
    inside = {name for domain in domains for name in domain.contains}
    return tuple(domain for domain in domains if domain.id not in inside)
