"""Intel and AMD RAPL counters through Linux powercap: one directory a zone, microjoules that wrap around."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from steelyard.guard import proc
from steelyard.guard.energy import Absent, Boundary, Count, Domain, EnergySource, Fault, Kind

POWERCAP = Path("/sys/class/powercap")
_UPDATE_S = 0.001  # the counters move about every millisecond (Intel SDM vol. 3, 15.10)
_PLAUSIBLE_W = 2000.0
"""More than any package draws. A counter that was reset looks like a wrap with an impossible power."""

_ADVICE = "energy_uj is readable by root only since Linux 5.10; let an administrator grant your group read access"
_BOUNDARIES: Mapping[str, Boundary] = {
    "package": "package",
    "core": "core",
    "uncore": "uncore",
    "dram": "dram",
    "psys": "psys",
}


@dataclass(slots=True)
class _Counter:
    """A zone's state between reads."""

    directory: Path
    domain: Domain
    range_uj: int | None
    last_uj: int | None = None
    last_ns: int = 0
    total_uj: int = 0
    faults: int = 0
    fault: Fault | None = None


class Rapl(EnergySource):
    """Zones under a powercap directory. Every read unwraps, in one lock; nothing runs in the background."""

    kind: ClassVar[Kind] = "counter"

    def __init__(self, root: Path = POWERCAP, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.update_period_s = _UPDATE_S
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._counters = [_Counter(path, domain, _range(path)) for path, domain in _zones(root)]
        self.read()

    def domains(self) -> tuple[Domain, ...]:
        """Packages, what is inside them, memory, and the platform where it is metered."""
        return tuple(counter.domain for counter in self._counters)

    def read(self) -> Mapping[str, Count]:
        """Every zone's joules since this object was made."""
        with self._lock:
            return {counter.domain.id: self._advance(counter) for counter in self._counters}

    @property
    def longest_gap_s(self) -> float:
        """Half the smallest range at the largest plausible power."""
        ranges = [counter.range_uj for counter in self._counters if counter.range_uj]
        return min(ranges) / 1e6 / _PLAUSIBLE_W / 2 if ranges else float("inf")

    def _advance(self, counter: _Counter) -> Count:
        raw = _energy_uj(counter.directory)
        now = self._clock_ns()
        if isinstance(raw, Fault):
            self._lose(counter, raw)
            counter.last_uj = None
            return Count(t_ns=now, joules=None, faults=counter.faults, fault=raw)
        if counter.last_uj is not None:
            delta = raw - counter.last_uj
            seconds = (now - counter.last_ns) / 1e9
            if delta < 0 and counter.range_uj is None:
                detail = "the counter went backwards and its range (max_energy_range_uj) is unknown"
                self._lose(counter, Fault(code="wrapped_unknown", detail=detail))
                delta = 0
            elif delta < 0:
                delta += counter.range_uj or 0
            if delta < 0 or delta > _PLAUSIBLE_W * 1e6 * seconds + _PLAUSIBLE_W * 1e6 * _UPDATE_S:
                watts = delta / 1e6 / seconds if seconds > 0 else float("inf")
                detail = f"the counter jumped as if {watts:.0f} W had been drawn: it was reset"
                self._lose(counter, Fault(code="counter_reset", detail=detail))
                delta = 0
            counter.total_uj += delta
        counter.last_uj, counter.last_ns = raw, now
        return Count(t_ns=now, joules=counter.total_uj / 1e6, faults=counter.faults, fault=counter.fault)

    @staticmethod
    def _lose(counter: _Counter, fault: Fault) -> None:
        counter.faults += 1
        counter.fault = fault


def rapl_source(root: Path = POWERCAP) -> EnergySource:
    """RAPL, or the source that says why there is none here."""
    if not root.is_dir():
        return Absent(Fault(code="no_device", detail="no powercap on this machine"))
    source = Rapl(root)
    if not source.domains():
        return Absent(Fault(code="no_device", detail="powercap has no RAPL zone on this machine"))
    faults = [count.fault for count in source.read().values() if count.joules is None]
    if len(faults) == len(source.domains()) and faults[0] is not None:
        return Absent(faults[0])
    return source


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
    path = directory / "energy_uj"
    try:
        content = path.read_text().strip()
    except PermissionError:
        return Fault(code="no_permission", detail=_ADVICE)
    except FileNotFoundError:
        return Fault(code="vanished", detail=f"{directory.name}/energy_uj is no longer there")
    except OSError as error:
        return Fault(code="not_supported", detail=f"{directory.name}/energy_uj: {error.strerror}")
    if not content.isdecimal():
        return Fault(code="garbage", detail=f"{directory.name}/energy_uj holds {content[:20]!r}")
    return int(content)
