"""Intel and AMD RAPL counters through Linux powercap: one directory a zone, microjoules that wrap around."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from steelyard.core.energy import Boundary, Kind
from steelyard.guard import proc
from steelyard.guard.energy_source import Absent, EnergySource
from steelyard.guard.files import whole_number
from steelyard.guard.meter_readings import Counts, Domain, Fault
from steelyard.guard.unwrap import Unwrapped

POWERCAP = Path("/sys/class/powercap")
_UPDATE_S = 0.001  # the counters move about every millisecond (Intel SDM vol. 3, 15.10)
_UNIT_J = 1e-6
_ADVICE = (
    "energy_uj is readable by root only since Linux 5.10; an administrator can grant your group read access: "
    "bench doctor prints how"
)
GRANT = (
    "to let your group read RAPL until the next start, an administrator can run: "
    "sudo chgrp $(id -g) /sys/class/powercap/intel-rapl*:*/energy_uj && "
    "sudo chmod g+r /sys/class/powercap/intel-rapl*:*/energy_uj "
    "(who can read it can learn about other programs: CVE-2020-8694)"
)
"""Advice, printed and never followed by itself."""

_BOUNDARIES: Mapping[str, Boundary] = {
    "package": "package",
    "core": "core",
    "uncore": "uncore",
    "dram": "dram",
    "psys": "psys",
}


@dataclass(frozen=True, slots=True)
class _Zone:
    """A zone's directory, what it meters, and its counter."""

    directory: Path
    domain: Domain
    counter: Unwrapped


class Rapl(EnergySource):
    """Zones under a powercap directory. Every read unwraps; nothing runs in the background."""

    name: ClassVar[str] = "rapl"
    kind: ClassVar[Kind] = "counter"

    def __init__(self, root: Path = POWERCAP, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        super().__init__(clock_ns)
        self.update_period_s = _UPDATE_S
        self.resolution_j = _UNIT_J
        self._found = [
            _Zone(path, domain, Unwrapped(unit_j=_UNIT_J, range_=_range(path), slack_s=_UPDATE_S))
            for path, domain in _zones(root)
        ]
        ranges = [zone.counter.range_ for zone in self._found if zone.counter.range_ is not None]
        self.range_j = min(ranges) * _UNIT_J if ranges else None
        self.read()

    def domains(self) -> tuple[Domain, ...]:
        """Packages, what is inside them, memory, and the platform where it is metered."""
        return tuple(zone.domain for zone in self._found)

    def _read(self) -> Counts:
        """Every zone's joules since this object was made."""
        return {
            zone.domain.id: zone.counter.advance(_energy_uj(zone.directory), self._clock_ns()) for zone in self._found
        }

    @property
    def longest_gap_s(self) -> float:
        """Half the smallest range at the largest plausible power."""
        return min((zone.counter.longest_gap_s for zone in self._found), default=float("inf"))


def rapl_source(root: Path = POWERCAP) -> EnergySource:
    """RAPL, or the source that says why there is none here."""
    machine = "virtual machine" if is_virtual() else "machine"
    if not root.is_dir():
        return Absent(Fault(code="no_device", detail=f"no powercap on this {machine}"))
    source = Rapl(root)
    if not source.domains():
        return Absent(Fault(code="no_device", detail=f"powercap has no RAPL zone on this {machine}"))
    faults = [count.fault for count in source.read().values() if count.joules is None]
    if len(faults) == len(source.domains()) and faults[0] is not None:
        return Absent(faults[0])
    return source


def is_virtual(root: Path = proc.ROOT) -> bool:
    """Whether the CPU says that a hypervisor stands between it and us."""
    return re.search(r"^flags\s*:.*\bhypervisor\b", proc.text(root / "proc/cpuinfo") or "", re.MULTILINE) is not None


def _zones(root: Path) -> list[tuple[Path, Domain]]:
    """Zones with their domains. A zone that the mmio interface repeats is taken once, from the MSR."""
    named = []
    for path in sorted(root.glob("intel-rapl*:*")) if root.is_dir() else []:
        name = proc.text(path / "name") or ""
        boundary = _BOUNDARIES.get(name.partition("-")[0])
        if boundary is not None:
            parent = path.name.rsplit(":", 1)[0] if path.name.count(":") > 1 else ""
            named.append((path, name, boundary, parent))
    own = {path.name: name for path, name, _, _ in named}
    from_msr = {name for path, name, _, _ in named if not path.name.startswith("intel-rapl-mmio")}
    kept = [entry for entry in named if not (entry[0].name.startswith("intel-rapl-mmio") and entry[1] in from_msr)]
    ids = {path.name: f"{own[parent]}/{name}" if parent in own else name for path, name, _, parent in kept}
    found = []
    for path, _, boundary, _ in kept:
        inner = [other for other in kept if _within(other, path.name, boundary)]
        contains = tuple(ids[other[0].name] for other in inner)
        found.append((path, Domain(id=ids[path.name], boundary=boundary, contains=contains)))
    return found


def _within(other: tuple[Path, str, Boundary, str], zone: str, boundary: Boundary) -> bool:
    """psys holds everything else; a package holds its cores and uncore. DRAM beside a package is its own."""
    if boundary == "psys":
        return other[2] != "psys"
    return boundary == "package" and other[3] == zone and other[2] in ("core", "uncore")


def _range(directory: Path) -> int | None:
    value = proc.number(directory / "max_energy_range_uj")
    return int(value) if value is not None and value > 0 else None


def _energy_uj(directory: Path) -> int | Fault:
    return whole_number(directory / "energy_uj", _ADVICE)
