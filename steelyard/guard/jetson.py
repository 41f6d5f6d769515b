"""The power rails of an NVIDIA Jetson: INA3221 monitors in hwmon, millivolts and milliamperes a channel."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from steelyard.core.energy import Kind
from steelyard.guard import proc
from steelyard.guard.energy_source import Absent, EnergySource
from steelyard.guard.files import whole_number
from steelyard.guard.hwmon import HWMON
from steelyard.guard.meter_readings import Counts, Domain, Fault
from steelyard.guard.pci import by_number
from steelyard.guard.unwrap import Integrated

_UPDATE_S = 0.01  # a conversion of three channels with the driver's averaging takes some milliseconds
_WHOLE = re.compile(r"^(VDD_IN|POM_5V_IN)$")
"""The rail that feeds all others, by the names of the boards."""


@dataclass(frozen=True, slots=True)
class _Rail:
    voltage: Path
    current: Path
    domain: Domain
    state: Integrated = field(default_factory=Integrated)


class JetsonRails(EnergySource):
    """Every labelled rail. The rail that feeds the module is the board and holds the others."""

    name: ClassVar[str] = "jetson"
    kind: ClassVar[Kind] = "power_sampled"

    def __init__(self, rails: list[_Rail], clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        super().__init__(clock_ns)
        self.update_period_s = _UPDATE_S
        self._rails = rails
        self.read()

    def domains(self) -> tuple[Domain, ...]:
        """The rails."""
        return tuple(rail.domain for rail in self._rails)

    def _read(self) -> Counts:
        """The integral of each rail's power over the reads so far."""
        return {rail.domain.id: rail.state.advance(_watts(rail), self._clock_ns()) for rail in self._rails}


def jetson_source(root: Path = HWMON, clock_ns: Callable[[], int] = time.monotonic_ns) -> EnergySource:
    """The rails of this module, or why there are none."""
    named = []
    for directory in by_number(root.glob("hwmon*")) if root.is_dir() else []:
        if proc.text(directory / "name") != "ina3221":
            continue
        for voltage in by_number(directory.glob("in*_input")):
            number = voltage.name.removeprefix("in").removesuffix("_input")
            label = proc.text(directory / f"in{number}_label")
            current = directory / f"curr{number}_input"
            if label and label != "NC" and current.exists():
                named.append((voltage, current, label))
    if not named:
        return Absent(Fault(code="no_device", detail="hwmon shows no INA3221 power monitor"))
    inner = tuple(label for _, _, label in named if not _WHOLE.match(label))
    rails = [
        _Rail(voltage, current, Domain(id=label, boundary="board", contains=inner))
        if _WHOLE.match(label)
        else _Rail(voltage, current, Domain(id=label, boundary="soc_rail"))
        for voltage, current, label in named
    ]
    source = JetsonRails(rails, clock_ns)
    faults = [count.fault for count in source.read().values() if count.joules is None and count.fault is not None]
    return Absent(faults[0]) if len(faults) == len(rails) else source


def _watts(rail: _Rail) -> float | Fault:
    millivolts, milliamperes = whole_number(rail.voltage), whole_number(rail.current)
    for value in (millivolts, milliamperes):
        if isinstance(value, Fault):
            return value
    assert isinstance(millivolts, int)
    assert isinstance(milliamperes, int)
    return millivolts * milliamperes * 1e-6
