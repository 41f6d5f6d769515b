"""Meters that drivers show through Linux hwmon: energy counters in microjoules where there are any, else power."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from steelyard.core.energy import Boundary, Kind
from steelyard.guard import proc
from steelyard.guard.energy_source import Absent, EnergySource
from steelyard.guard.files import whole_number
from steelyard.guard.meter_readings import Count, Counts, Domain, Fault
from steelyard.guard.pci import address, by_number
from steelyard.guard.unwrap import Integrated, Unwrapped

HWMON = Path("/sys/class/hwmon")
_UNIT = 1e-6
_UPDATE_S: Mapping[str, float] = {"power_meter": 1.0}
_UPDATE_OTHERS_S = 0.1

# What each driver's channel covers, and for which kind of device it is the meter. In the drivers for Intel GPUs the
# first energy channel is the card and the second the package on it (Documentation/hwmon, sysfs-driver-intel-xe-hwmon).
_DRIVERS: Mapping[str, tuple[str, Mapping[str, Boundary]]] = {
    "amdgpu": ("rocm", {"power1": "gpu_module", "energy1": "gpu_module"}),
    "i915": ("xpu", {"energy1": "gpu_board"}),
    "xe": ("xpu", {"energy1": "gpu_board", "energy2": "gpu_module"}),
    "amd_energy": ("cpu", {"Esocket": "package", "Ecore": "core"}),
    "power_meter": ("cpu", {"power1": "psys"}),
}


@dataclass(frozen=True, slots=True)
class _Channel:
    path: Path
    domain: Domain
    state: Unwrapped | Integrated


class Hwmon(EnergySource):
    """Channels of one kind: all counters, or all power. Made by `hwmon_source`."""

    name: ClassVar[str] = "hwmon"
    kind: ClassVar[Kind] = "counter"

    def __init__(
        self, channels: list[_Channel], update_period_s: float, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        super().__init__(clock_ns)
        self.update_period_s = update_period_s
        self.resolution_j = _UNIT if self.kind == "counter" else None
        self._channels = channels
        self.read()

    def domains(self) -> tuple[Domain, ...]:
        """The channels of the device."""
        return tuple(channel.domain for channel in self._channels)

    def _read(self) -> Counts:
        """Every channel's joules since this object was made."""
        return {channel.domain.id: self._advance(channel) for channel in self._channels}

    def _advance(self, channel: _Channel) -> Count:
        raw = whole_number(channel.path)
        now = self._clock_ns()
        if isinstance(channel.state, Unwrapped):
            return channel.state.advance(raw, now)
        return channel.state.advance(raw if isinstance(raw, Fault) else raw * _UNIT, now)


class HwmonPower(Hwmon):
    """The same for drivers that tell power alone."""

    name: ClassVar[str] = "hwmon-power"
    kind: ClassVar[Kind] = "power_sampled"


def hwmon_source(
    device_kind: str,
    index: int = 0,
    root: Path = HWMON,
    clock_ns: Callable[[], int] = time.monotonic_ns,
    place: str | None = None,
) -> EnergySource:
    """The meters that a known driver shows of a device, or why there is none.

    The device is the one at the PCI address `place`; where that is not known, or the drivers tell no address, the
    `index`-th of its kind.
    """
    if not root.is_dir():
        return Absent(Fault(code="no_device", detail="no hwmon on this machine"))
    found = [
        (directory, name)
        for directory in by_number(root.glob("hwmon*"))
        if (name := proc.text(directory / "name") or "") in _DRIVERS and _DRIVERS[name][0] == device_kind
    ]
    places = [address(directory / "device") for directory, _ in found]
    if place is not None and any(places):
        index = places.index(place) if place in places else len(found)
    if index >= len(found):
        return Absent(Fault(code="no_device", detail=f"hwmon shows no energy meter for {device_kind}"))
    directory, name = found[index]
    period = _UPDATE_S.get(name, _UPDATE_OTHERS_S)
    counters = _channels(
        directory, name, "energy*_input", lambda: Unwrapped(unit_j=_UNIT, range_=_RANGE, slack_s=period)
    )
    source: EnergySource
    if counters:
        source = Hwmon(counters, period, clock_ns)
    else:
        powers = _channels(directory, name, "power*_input", Integrated) or _channels(
            directory, name, "power*_average", Integrated
        )
        if not powers:
            return Absent(Fault(code="not_supported", detail=f"the driver {name} shows neither energy nor power"))
        source = HwmonPower(powers, period, clock_ns)
    faults = [count.fault for count in source.read().values() if count.joules is None and count.fault is not None]
    return Absent(faults[0]) if len(faults) == len(source.domains()) else source


_RANGE = 1 << 64  # hwmon's energy is 64 bits of microjoules; drivers of 32-bit counters unwrap for themselves


def _channels(
    directory: Path, driver: str, pattern: str, state: Callable[[], Unwrapped | Integrated]
) -> list[_Channel]:
    known = _DRIVERS[driver][1]
    named = []
    for path in by_number(directory.glob(pattern)):
        channel = path.name.rsplit("_", 1)[0]
        label = proc.text(directory / f"{channel}_label") or ""
        key = next((name for name in known if label.startswith(name) or channel == name), None)
        if key is not None:
            named.append((path, label or f"{driver}/{channel}", known[key]))
    outer = {"gpu_board": ("gpu_module",), "package": ("core",)}
    return [
        _Channel(
            path,
            Domain(
                id=name,
                boundary=boundary,
                contains=tuple(other for _, other, inner in named if inner in outer.get(boundary, ())),
            ),
            state(),
        )
        for path, name, boundary in named
    ]
