"""What the parent and a measuring process say to each other, a line of JSON each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from steelyard.core.backend import DeviceKind
from steelyard.core.ceilings import Unit, What


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementTerms:
    """Under which conditions all processes measure.

    A sample lasts about `sample_s`; a matrix product is made as large as it can be within `product_s`. `most_bytes`
    bounds the working set of one thread.
    """

    device_kind: DeviceKind
    device_index: int
    threads: int
    cpus: tuple[int, ...]
    sample_s: float
    product_s: float
    most_bytes: int
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The first line to a process: who it is, and the terms. `library` is the path of what was compiled for it."""

    by: str
    terms: MeasurementTerms
    library: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementOffer:
    """One thing that a process can measure, or the `reason` why it cannot; the fields are those of a ceiling."""

    what: What
    unit: Unit
    threads: int
    dtype: str = ""
    instruction: str = ""
    size: int | None = None
    level: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The answer to `Start`: what it offers, in an order that stays. `reason` says why it can offer nothing at all.

    `capacity_bytes` is what the device's caches hold, by level, where this process was the one to find out.
    """

    offers: tuple[MeasurementOffer, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    capacity_bytes: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A further line: measure these offers once, in this order."""

    order: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitResult:
    """The answer to `Visit`: a value by place of the offer, or why there is none."""

    values: Mapping[int, float]
    failures: Mapping[int, str] = field(default_factory=dict)


Sample = Callable[[], float]
"""Measures once, in the offer's unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeOffers:
    """What a runtime brings, ready to be measured: an offer and its sample each; an offer with a reason has none."""

    offers: tuple[tuple[MeasurementOffer, Sample | None], ...]
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()
    capacity_bytes: Mapping[str, int] = field(default_factory=dict)


class Prepare(Protocol):
    """What the module of a runtime exports as `prepare`."""

    def __call__(self, start: Start) -> RuntimeOffers:
        """Import the runtime under the terms. Raises Unsupported where it has nothing to offer."""
