"""The energy window of a case: calls of its own after the timed window, between two idle baselines.

The timed window knows nothing of meters, so that reading them costs no latency. What is metered is what was timed:
the same calls in the same process, warm.
"""

import itertools
import time
import traceback
from collections.abc import Callable, Sequence

from steelyard.core.backend import Device
from steelyard.core.energy import EnergySettings, EnergyUse, PowerTrace
from steelyard.core.metrics import Reading, absent
from steelyard.guard.energy_source import Absent, EnergySource
from steelyard.guard.gate import raised
from steelyard.guard.meter_readings import MINIMUM_PERIODS, Counts, Energy, Fault
from steelyard.guard.meter_window import between, counted_once, mirrors, powers, total
from steelyard.guard.meters import meter_for
from steelyard.guard.period import measure_period
from steelyard.guard.sampler import Sampler
from steelyard.measure.loop import Call, quiet_collector

LEAST_WINDOW_S = 2.0
READS = 40
"""Reads of the meter in one window, if it moves so often."""
_SPARE = 1.05  # the ends of a window are found by looking at a clock, and the period is a median
_DISAGREEMENT = 0.05


class _CallError(Exception):
    """A call of the program raised, and not the meter beside it."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Metering:
    """The meter of a launch: opened and its period measured when the first case needs it, then kept."""

    def __init__(self, settings: EnergySettings, device_kind: str, index: int, seed: int) -> None:
        self._settings = settings
        self._device = device_kind, index
        self._seed = seed
        self._source: EnergySource | None = None
        self._measured = False

    @property
    def source(self) -> EnergySource:
        """The source, or one that says why there is none."""
        if self._source is None:
            self._source = self._open()
        return self._source

    def case(self, calls: Sequence[Call], begins: Callable[[], None] = lambda: None) -> EnergyUse:
        """The energy of these calls. Raises whatever a call raises, and nothing else: what was measured before stands
        whatever becomes of the meter, which is then a null with its reason. `begins` is called where there is one."""
        try:
            return self._case(calls, begins)
        except _CallError as failed:
            raise failed.error from None
        except Exception as error:  # noqa: BLE001 (no case may fail for its meter)
            traceback.print_exception(error)
            return unmetered(raised(error))

    def _case(self, calls: Sequence[Call], begins: Callable[[], None]) -> EnergyUse:
        source = self.source
        if isinstance(source, Absent):
            return unmetered(source.fault)
        begins()
        seconds = _window_s(source)
        interval = max(seconds / READS, source.update_period_s * (4 if source.kind == "counter" else 1))
        with quiet_collector(), Sampler(source, interval, self._seed) as sampler:
            places = [sampler.mark()]
            time.sleep(seconds)
            places.append(sampler.mark())
            count = _repeat(calls, seconds)
            places.append(sampler.mark())
            time.sleep(seconds)
            places.append(sampler.mark())
        return energy_use(source, source.settled(sampler.reads), places, count, measured=self._measured)

    def _open(self) -> EnergySource:
        if not self._settings.enabled:
            return Absent(Fault(code="not_supported", detail="energy was switched off (--no-energy)"))
        source = meter_for(*self._device, log=self._settings.meter)
        if not isinstance(source, Absent) and source.kind != "external":
            self._measured = measure_period(source)
        return source


def metering_s(settings: EnergySettings, device: Device) -> float:
    """Seconds that a case's energy takes beside its timed window: three windows where there is a meter, else none."""
    if not settings.enabled:
        return 0.0
    source = meter_for(device.kind, device.index, log=settings.meter)
    source.close()
    return 0.0 if isinstance(source, Absent) else 3 * _window_s(source)


def energy_use(
    source: EnergySource, reads: Sequence[Counts], places: Sequence[int], calls: int, *, measured: bool
) -> EnergyUse:
    """What the reads say. `places` are those of the four marks: idle from the first, calls from the second, idle from
    the third to the fourth."""
    before, active, after = (reads[begin : end + 1] for begin, end in itertools.pairwise(places))
    gross, idles = total(source, active), [total(source, before), total(source, after)]
    net, net_uncertainty = _net(gross, idles)
    parts = between(source, active)
    return EnergyUse(
        source=source.name,
        kind=source.kind,
        quality=gross.quality,
        boundary=gross.boundary,
        calls=calls,
        window_s=gross.window_s,
        gross_j=gross.joules,
        reason="" if gross.fault is None else gross.fault.text,
        uncertainty_j=gross.uncertainty_j,
        net_j=net,
        net_uncertainty_j=net_uncertainty,
        idle_before_w=_watts(idles[0]),
        idle_after_w=_watts(idles[1]),
        integral_j=gross.integral_j,
        update_period_s=source.update_period_s,
        period_measured=measured,
        resolution_j=source.resolution_j,
        range_j=source.range_j,
        domains={name: part.joules for name, part in parts.items() if part.joules is not None},
        notes=_notes(source, active, gross),
        trace=_trace(source, reads, places),
    )


def unmetered(fault: Fault) -> EnergyUse:
    """The energy of a case that no meter covers."""
    return EnergyUse(
        source="none",
        kind="counter",
        quality="unavailable",
        boundary="",
        calls=0,
        window_s=0.0,
        gross_j=None,
        reason=fault.text,
    )


def estimated(settings: EnergySettings, cpu_s: float, calls: int, cpus: int) -> Reading:
    """Joules of one call by a model: the package's rated power, shared out by CPU time. No measurement.

    `cpu_s` is the CPU time of the process over `calls` calls; a package with `cpus` CPUs that are all busy is taken to
    draw `tdp_w`, and one whose CPUs rest to draw nothing. Neither holds.
    """
    if settings.tdp_w is None:
        return absent("J", "no profile declares the rated power of this processor")
    joules = settings.tdp_w * cpu_s / cpus / calls
    return Reading(value=joules, unit="J", method=f"estimated_model: {settings.tdp_w:g} W x CPU time / {cpus} CPUs")


def _window_s(source: EnergySource) -> float:
    return max(LEAST_WINDOW_S, MINIMUM_PERIODS * source.update_period_s) * _SPARE


def _repeat(calls: Sequence[Call], seconds: float, clock: Callable[[], float] = time.monotonic) -> int:
    """Make the calls in rotation for so long; returns how many."""
    until = clock() + seconds
    count = 0
    while count == 0 or clock() < until:
        call = calls[count % len(calls)]
        try:
            call.run()
            call.settle()
        except Exception as error:
            raise _CallError(error) from error
        count += 1
    return count


def _net(gross: Energy, idles: Sequence[Energy]) -> tuple[float | None, float | None]:
    """Joules above idle and their uncertainty: the meter's over all windows, and half of what the baselines differ."""
    known = [watts for idle in idles if (watts := _watts(idle)) is not None]
    if gross.joules is None or len(known) < len(idles):
        return None, None
    net = gross.joules - sum(known) / len(known) * gross.window_s
    meters = [(idle.uncertainty_j or 0.0) / idle.window_s * gross.window_s / len(idles) for idle in idles]
    drift = (max(known) - min(known)) / 2 * gross.window_s
    return net, (gross.uncertainty_j or 0.0) + sum(meters) + drift


def _watts(energy: Energy) -> float | None:
    return None if energy.joules is None else energy.joules / energy.window_s


def _notes(source: EnergySource, reads: Sequence[Counts], gross: Energy) -> tuple[str, ...]:
    found = [f"{second} mirrors {first} and counts once" for second, first in mirrors(source.domains(), reads).items()]
    if gross.joules is not None and gross.integral_j is not None:
        off = gross.integral_j / gross.joules - 1
        if abs(off) > _DISAGREEMENT:
            found.append(f"the integral of the board's power is {off:+.1%} of the counter's energy: doubt both")
    return tuple(found)


def _trace(source: EnergySource, reads: Sequence[Counts], places: Sequence[int]) -> PowerTrace | None:
    """The power over idle, calls and idle, to 4 digits. Where counts are missing there is no trace."""
    chosen = counted_once(source, reads)
    if not chosen:
        return None
    origin = reads[places[1]][chosen[0].id].t_ns
    shown = _apart(reads, chosen[0].id, 2e9 * source.update_period_s)
    stretches = list(powers(source, shown))
    if len(stretches) < len(shown) - 1 or len(stretches) < 3:
        return None
    times = [stretches[0][0], *(end for _, end, _ in stretches)]
    return PowerTrace(
        times_s=tuple(round((moment - origin) / 1e9, 4) for moment in times),
        watts=tuple(float(f"{watts:.4g}") for _, _, watts in stretches),
    )


def _apart(reads: Sequence[Counts], domain: str, distance_ns: float) -> list[Counts]:
    """The reads without those that follow another too soon for the meter to have moved."""
    kept: list[Counts] = []
    for read in reads:
        if domain in read and (not kept or read[domain].t_ns - kept[-1][domain].t_ns >= distance_ns):
            kept.append(read)
    return kept
