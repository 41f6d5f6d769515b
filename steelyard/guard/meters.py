"""The meters of this machine, and the one that covers a device."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from steelyard.core.errors import UsageError
from steelyard.core.metrics import Reading
from steelyard.guard import proc
from steelyard.guard.amdsmi import amdsmi_source
from steelyard.guard.energy_source import Absent, EnergySource
from steelyard.guard.external import ExternalLog, broken
from steelyard.guard.gate import raised
from steelyard.guard.hwmon import hwmon_source
from steelyard.guard.jetson import jetson_source
from steelyard.guard.live_log import check_clock
from steelyard.guard.meter_readings import Fault
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
        "rapl": _opened(lambda: rapl_source(root / "sys/class/powercap")),
        "nvml": _opened(nvml_source),
        "amdsmi": _opened(lambda: amdsmi_source(place=amd)),
        "hwmon (AMD GPU)": _opened(lambda: hwmon_source("rocm", root=hwmon, place=amd)),
        "hwmon (Intel GPU)": _opened(lambda: hwmon_source("xpu", root=hwmon, place=intel)),
        "hwmon (machine)": _opened(lambda: hwmon_source("cpu", root=hwmon)),
        "jetson": _opened(lambda: jetson_source(hwmon)),
    }


def meter_for(device_kind: str, index: int = 0, *, root: Path | None = None, log: str = "") -> EnergySource:
    """The source whose boundary holds the device: the first of its kind's that is there, else why the first is not.

    `log` is the file of an external meter, which then takes the place of all others.
    """
    if log:
        return _opened(lambda: _log(Path(log)))
    reasons: list[Absent] = []
    place = address_of(device_kind, index, root or proc.ROOT)
    for make in _candidates(device_kind, index, root or meter_root(), place):
        source = _opened(make)
        if not isinstance(source, Absent):
            return source
        reasons.append(source)
    if not reasons:
        return Absent(Fault(code="not_supported", detail=f"no energy meter is known for {device_kind}"))
    return next((reason for reason in reasons if reason.fault.code != "no_device"), reasons[0])


def _opened(make: Callable[[], EnergySource]) -> EnergySource:
    """The source, or why there is none: no work may fail because a driver raised something that nobody expected."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001
        return Absent(raised(error))


def _log(path: Path) -> EnergySource:
    """The log, or why it is none any more: when the run began it was one, and its logger was at work."""
    try:
        source = ExternalLog(path)
    except UsageError as error:
        return Absent(broken(path, error))
    try:
        check_clock(path, time.time())
    except UsageError as error:
        return Absent(broken(path, error, "off_the_log"))
    return source


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
