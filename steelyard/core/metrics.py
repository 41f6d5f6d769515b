"""The quantities that are measured of any call: unit, direction, and what the number includes.

Those that only one kind of call has are its driver's (`steelyard.measure.driver`)."""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A named quantity. Values are in the base SI unit; only reports scale them. `title` heads its column where it is
    a driver's own."""

    name: str
    unit: str
    direction: Direction
    meaning: str
    title: str = ""


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            name="latency_s",
            unit="s",
            direction="lower",
            meaning="one call as its driver makes it, inputs bound beforehand, outputs complete (layer bound_wall)",
        ),
        Metric(
            name="device_s",
            unit="s",
            direction="lower",
            meaning="one call on the device's own clock, by events around it, in calls of their own (layer device)",
        ),
        Metric(name="import_s", unit="s", direction="lower", meaning="importing the runtime into a fresh process"),
        Metric(name="load_s", unit="s", direction="lower", meaning="reading the program and its weights"),
        Metric(name="compile_s", unit="s", direction="lower", meaning="tracing, lowering and compiling"),
        Metric(name="first_run_s", unit="s", direction="lower", meaning="the first call after compiling"),
        Metric(name="second_run_s", unit="s", direction="lower", meaning="the second call after compiling"),
        Metric(name="host_peak_bytes", unit="B", direction="lower", meaning="peak resident memory of the process"),
        Metric(
            name="host_sampled_bytes",
            unit="B",
            direction="lower",
            meaning="resident memory of the process where its peak cannot be reset: a lower bound",
        ),
        Metric(
            name="host_anon_bytes",
            unit="B",
            direction="lower",
            meaning="resident memory of the process that no file backs, when the phase ends",
        ),
        Metric(
            name="host_file_bytes",
            unit="B",
            direction="lower",
            meaning="resident pages of mapped files, when the phase ends: libraries, mapped weights",
        ),
        Metric(
            name="tree_bytes",
            unit="B",
            direction="lower",
            meaning="resident memory of the process and its children, shared pages once, when the phase ends",
        ),
        Metric(
            name="group_peak_bytes",
            unit="B",
            direction="lower",
            meaning="peak of the launch's control group: all its processes, file cache and kernel memory",
        ),
        Metric(name="planned_bytes", unit="B", direction="lower", meaning="memory the compiler planned for a call"),
        Metric(name="kv_cache_bytes", unit="B", direction="lower", meaning="KV cache of the configuration, by shapes"),
        Metric(name="allocator_peak_bytes", unit="B", direction="lower", meaning="peak of the runtime's allocator"),
        Metric(
            name="allocator_reserved_bytes",
            unit="B",
            direction="lower",
            meaning="peak of what the runtime's allocator holds of the device, unused parts included",
        ),
        Metric(name="device_peak_bytes", unit="B", direction="lower", meaning="peak device memory seen by the driver"),
        Metric(
            name="device_used_bytes",
            unit="B",
            direction="lower",
            meaning="device memory seen by the driver, when the phase ends",
        ),
        Metric(name="energy_j", unit="J", direction="lower", meaning="energy of one call"),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One number, or the reason why there is none. Unknown is `None`, never 0."""

    value: float | None
    unit: str
    method: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError("a reading without a value must say why")


def absent(unit: str, reason: str) -> Reading:
    """The reading of a quantity that could not be observed."""
    return Reading(value=None, unit=unit, reason=reason)


def raised(before: float | None, after: float | None, *, method: str, refused: str) -> Reading:
    """The peak of a phase, in bytes, by a mark that cannot be set back (`refused` says why): known if the phase
    raised the mark, else absent, for the peak was then anywhere below."""
    if before is None or after is None:
        return absent("B", refused)
    if after > before:
        return Reading(value=float(after), unit="B", method=f"{method}, raised by this phase")
    return absent("B", f"not above the {before:.0f} B reached before; {refused}")
