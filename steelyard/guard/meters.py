"""The meters of this machine, and the one that covers a device."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from steelyard.core.errors import UsageError
from steelyard.core.metrics import Reading
from steelyard.guard import proc
from steelyard.guard.amdsmi import amdsmi_source
from steelyard.guard.energy import Absent, EnergySource, Fault
from steelyard.guard.external import ExternalLog, broken
from steelyard.guard.hwmon import hwmon_source
from steelyard.guard.jetson import jetson_source
from steelyard.guard.nvml import nvml_source
from steelyard.guard.places import address_of
from steelyard.guard.rapl import rapl_source

ROOT_VARIABLE = "STEELYARD_METER_ROOT"
"""Names the directory under which `sys/class/powercap` and `sys/class/hwmon` are read, where it is not `/`: a
container sees the host's there."""


def meter_root() -> Path:
    """The directory that stands for `/`. What runtimes can open is never looked up there."""
    return Path(os.environ.get(ROOT_VARIABLE, "/"))


def sources(root: Path | None = None) -> dict[str, EnergySource]:
    """Every kind of source by name; those that are not there are `Absent` with the reason."""
    amd, intel = (address_of(kind, 0, root or proc.ROOT) for kind in ("rocm", "xpu"))
    root = root or meter_root()
    hwmon = root / "sys/class/hwmon"
    return {
        "rapl": rapl_source(root / "sys/class/powercap"),
        "nvml": nvml_source(),
        "amdsmi": amdsmi_source(place=amd),
        "hwmon (AMD GPU)": hwmon_source("rocm", root=hwmon, place=amd),
        "hwmon (Intel GPU)": hwmon_source("xpu", root=hwmon, place=intel),
        "hwmon (machine)": hwmon_source("cpu", root=hwmon),
        "jetson": jetson_source(hwmon),
    }


def meter_for(device_kind: str, index: int = 0, *, root: Path | None = None, log: str = "") -> EnergySource:
    """The source whose boundary holds the device: the first of its kind's that is there, else why the first is not.

    `log` is the file of an external meter, which then takes the place of all others.
    """
    if log:
        try:
            return ExternalLog(Path(log))
        except UsageError as error:  # it was readable when the run began
            return Absent(broken(Path(log), error))
    reasons: list[Absent] = []
    place = address_of(device_kind, index, root or proc.ROOT)
    for make in _candidates(device_kind, index, root or meter_root(), place):
        source = make()
        if not isinstance(source, Absent):
            return source
        reasons.append(source)
    if not reasons:
        return Absent(Fault(code="not_supported", detail=f"no energy meter is known for {device_kind}"))
    return next((reason for reason in reasons if reason.fault.code != "no_device"), reasons[0])


def _candidates(device_kind: str, index: int, root: Path, place: str | None) -> Iterator[Callable[[], EnergySource]]:
    hwmon = root / "sys/class/hwmon"
    if device_kind == "cpu":
        yield lambda: rapl_source(root / "sys/class/powercap")
    elif device_kind == "cuda":
        yield lambda: nvml_source(index)
    elif device_kind == "rocm":
        yield lambda: amdsmi_source(index, place)
    if device_kind in ("cpu", "rocm", "xpu"):
        yield lambda: hwmon_source(device_kind, index, hwmon, place=place)
    if device_kind in ("cpu", "cuda"):
        yield lambda: jetson_source(hwmon)


def describe(source: EnergySource) -> Reading:
    """Its number of domains, or why it has none: what `bench doctor` shows."""
    if isinstance(source, Absent):
        return Reading(value=None, unit="1", reason=source.fault.text)
    names = ", ".join(domain.id for domain in source.domains())
    return Reading(value=float(len(source.domains())), unit="1", method=names)
