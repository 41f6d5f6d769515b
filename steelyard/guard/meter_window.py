"""Reads of a source in time order, as the energy between the first and the last of them. Pure functions."""

import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from steelyard.core.energy import Quality
from steelyard.guard.energy_source import Absent, EnergySource
from steelyard.guard.meter_readings import MINIMUM_PERIODS, Count, Counts, Domain, Energy, Fault, outermost

_VANISHED = Fault(code="vanished", detail="the meter is no longer there")
_NO_DOMAIN = Fault(code="no_device", detail="the source has no domain")
_MIRROR_SHARE = 0.8
_FEWEST_STEPS = 3
_SIGMAS = 2.58  # of 100 normal values 99 lie within


def between(source: EnergySource, reads: Sequence[Counts]) -> Mapping[str, Energy]:
    """The energy of each domain by itself; they may contain each other and must not be added up."""
    return {domain.id: _energy(source, domain, [read.get(domain.id) for read in reads]) for domain in source.domains()}


def total(source: EnergySource, reads: Sequence[Counts]) -> Energy:
    """The energy of the largest domains that do not contain each other, together; a mirrored die counts once."""
    if isinstance(source, Absent):
        return _unavailable(source.fault, 0.0, "")
    chosen = counted_once(source, reads)
    boundary = "+".join(domain.id for domain in chosen)
    parts = [_energy(source, domain, [read.get(domain.id) for read in reads]) for domain in chosen]
    if not parts:
        return _unavailable(_NO_DOMAIN, 0.0, boundary)
    window_s = max(part.window_s for part in parts)
    missing = next((part for part in parts if part.joules is None), None)
    if missing is not None:
        return _unavailable(missing.fault or _VANISHED, window_s, boundary)
    integrals = [part.integral_j for part in parts]
    return Energy(
        joules=math.fsum(part.joules or 0.0 for part in parts),
        quality=parts[0].quality,
        window_s=window_s,
        boundary=boundary,
        uncertainty_j=math.fsum(part.uncertainty_j or 0.0 for part in parts),
        integral_j=None if None in integrals else math.fsum(value for value in integrals if value is not None),
    )


def counted_once(source: EnergySource, reads: Sequence[Counts]) -> tuple[Domain, ...]:
    """The domains that make up the total: the outermost, but of those that mirror each other the first alone."""
    chosen = outermost(source.domains())
    doubles = set(mirrors(chosen, reads))
    return tuple(domain for domain in chosen if domain.id not in doubles)


def mirrors(domains: Sequence[Domain], reads: Sequence[Counts]) -> Mapping[str, str]:
    """Which domain repeats which earlier one: dies of one package that all show the package's counter.

    Two counters of their own never move by the same number of microjoules again and again.
    """
    steps = {domain.id: _steps([read.get(domain.id) for read in reads]) for domain in domains}
    found: dict[str, str] = {}
    for first, second in itertools.combinations(domains, 2):
        if first.boundary != second.boundary or first.id in found or second.id in found:
            continue
        pairs = [(a, b) for a, b in zip(steps[first.id], steps[second.id], strict=False) if a is not None and (a or b)]
        if len(pairs) >= _FEWEST_STEPS and sum(a == b for a, b in pairs) >= _MIRROR_SHARE * len(pairs):
            found[second.id] = first.id
    return found


def powers(source: EnergySource, reads: Sequence[Counts]) -> Iterator[tuple[int, int, float]]:
    """Stretches between two reads as (begin ns, end ns, mean watts) of the total; stretches without joules are left
    out."""
    chosen = counted_once(source, reads)
    for before, after in itertools.pairwise(reads):
        ends = [(before.get(domain.id), after.get(domain.id)) for domain in chosen]
        known = [(a, b) for a, b in ends if a is not None and b is not None and a.faults == b.faults]
        joules = [b.joules - a.joules for a, b in known if a.joules is not None and b.joules is not None]
        if chosen and len(joules) == len(chosen) and known[0][1].t_ns > known[0][0].t_ns:
            begin, end = known[0][0].t_ns, known[0][1].t_ns
            yield begin, end, math.fsum(joules) / ((end - begin) / 1e9)


def _energy(source: EnergySource, domain: Domain, counts: Sequence[Count | None]) -> Energy:
    start, end = (counts[0], counts[-1]) if counts else (None, None)
    if start is None or end is None:
        return _unavailable(_VANISHED, 0.0, domain.id)
    seconds = (end.t_ns - start.t_ns) / 1e9
    for count in (start, end):
        if count.joules is None:
            return _unavailable(count.fault or _VANISHED, seconds, domain.id)
    if end.faults != start.faults:
        return _unavailable(end.fault or _VANISHED, seconds, domain.id)
    period = source.update_period_s
    if seconds < MINIMUM_PERIODS * period:
        detail = f"{seconds:.3g} s, but the meter moves every {period:.3g} s and {MINIMUM_PERIODS} steps are needed"
        return _unavailable(Fault(code="too_short", detail=detail), seconds, domain.id)
    joules = (end.joules or 0.0) - (start.joules or 0.0)
    if joules == 0.0:
        detail = f"the meter showed nothing in {seconds:.3g} s"
        return _unavailable(Fault(code="not_supported", detail=detail), seconds, domain.id)
    quality: Quality = "measured_counter" if source.kind == "counter" else "integrated_samples"
    known = [count for count in counts if count is not None]
    return Energy(
        joules=joules,
        quality=quality,
        window_s=seconds,
        boundary=domain.id,
        uncertainty_j=_uncertainty(source, known, joules / seconds, seconds),
        integral_j=_integral(known) if quality == "measured_counter" else None,
    )


def _uncertainty(source: EnergySource, counts: Sequence[Count], mean_w: float, seconds: float) -> float:
    """How far the joules may be off, in 99 of 100 windows.

    A counter shows its latest step, up to one period old, at either end: the error lies between minus and plus one
    period of the highest power, which is taken as three times the mean or the highest that was seen: what was drawn
    just before the window is seen by nobody. Sampled power is off
    by what the trapezoids miss: the mean of n samples at random moments has the standard error s / sqrt(n).
    """
    seen = [count.watts for count in counts if count.watts is not None]
    stretches = [
        (after.joules - before.joules) / ((after.t_ns - before.t_ns) / 1e9)
        for before, after in itertools.pairwise(counts)
        if before.joules is not None
        and after.joules is not None
        and after.t_ns - before.t_ns >= 2e9 * source.update_period_s > 0
    ]
    ends = source.update_period_s * max([3 * mean_w, *seen, *stretches]) + (source.resolution_j or 0.0)
    if source.kind == "counter" or len(seen) < 2:
        return ends
    return ends + _SIGMAS * statistics.stdev(seen) / math.sqrt(len(seen)) * seconds


def _integral(counts: Sequence[Count]) -> float | None:
    told = [(count.t_ns, count.watts) for count in counts if count.watts is not None]
    if len(told) < len(counts) or len(told) < 3:
        return None
    return math.fsum((a + b) / 2 * (end - begin) / 1e9 for (begin, a), (end, b) in itertools.pairwise(told))


def _steps(counts: Sequence[Count | None]) -> list[int | None]:
    return [
        None if a is None or b is None or a.joules is None or b.joules is None else round((b.joules - a.joules) * 1e6)
        for a, b in itertools.pairwise(counts)
    ]


def _unavailable(fault: Fault, seconds: float, boundary: str) -> Energy:
    return Energy(joules=None, quality="unavailable", window_s=seconds, boundary=boundary, fault=fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterWindow:
    """An open window: the counters at its start."""

    opened_ns: int
    counts: Counts


class Meter:
    """Windows over one source, from two reads alone."""

    def __init__(self, source: EnergySource, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.source = source
        self._clock_ns = clock_ns

    def open_window(self) -> MeterWindow:
        """Read every counter; the cost is one small file or one driver call per domain."""
        return MeterWindow(opened_ns=self._clock_ns(), counts=self.source.read())

    def close_window(self, window: MeterWindow) -> Energy:
        """The energy of the largest domains that do not contain each other, together."""
        return total(self.source, self.source.settled([window.counts, self.source.read()]))

    def close_domains(self, window: MeterWindow) -> Mapping[str, Energy]:
        """The energy of each domain by itself; they may contain each other and must not be added up."""
        return between(self.source, self.source.settled([window.counts, self.source.read()]))
