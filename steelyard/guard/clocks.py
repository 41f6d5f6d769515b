"""What decides the CPU's clock: governor, turbo, heat, and how near to its maximum it runs."""

import re
from collections.abc import Collection
from pathlib import Path

from steelyard.core.metrics import Reading, absent
from steelyard.guard import proc

CPUS = Path("sys/devices/system/cpu")
_KHZ, _MHZ = 1e3, 1e6


def throttle_events(cpus: Collection[int], root: Path) -> float | None:
    """How often these CPUs were throttled for heat since boot; None where the kernel does not count it."""
    counts = [proc.number(root / CPUS / f"cpu{cpu}/thermal_throttle/core_throttle_count") for cpu in cpus]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def throttled(before: float | None, after: float | None) -> Reading:
    """The throttle events between two counts."""
    if before is None or after is None:
        return absent("1", "the kernel shows no thermal throttle counters here")
    return Reading(value=after - before, unit="1", method="core_throttle_count")


def clock_hz(cpus: Collection[int], root: Path = proc.ROOT) -> Reading:
    """The slowest of these CPUs' clocks now. Read it while they are busy: idle ones tell nothing."""
    found = [proc.number(root / CPUS / f"cpu{cpu}/cpufreq/scaling_cur_freq") for cpu in cpus]
    known = [khz * _KHZ for khz in found if khz is not None]
    if known:
        return Reading(value=min(known), unit="Hz", method="scaling_cur_freq, the slowest CPU, under load")
    told = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", proc.text(root / "proc/cpuinfo") or "", re.MULTILINE)
    if told:
        slowest = min(map(float, told)) * _MHZ
        return Reading(
            value=slowest, unit="Hz", method="/proc/cpuinfo, the slowest CPU; virtual machines may make it up"
        )
    return absent("Hz", "the kernel shows no clock here")


def clock_share(clock: Reading, cpus: Collection[int], root: Path = proc.ROOT) -> Reading:
    """A clock over the lowest of these CPUs' maxima (single-core turbo included, which all at once seldom reach)."""
    found = [proc.number(root / CPUS / f"cpu{cpu}/cpufreq/cpuinfo_max_freq") for cpu in cpus]
    known = [khz * _KHZ for khz in found if khz]
    if clock.value is None:
        return absent("1", clock.reason)
    if not known:
        return absent("1", "no maximum clock is visible (usual in virtual machines)")
    return Reading(value=clock.value / min(known), unit="1", method=f"{clock.method}, over cpuinfo_max_freq")


def governor(cpus: Collection[int], root: Path) -> Reading:
    """1 if every CPU's governor is `performance`, else 0."""
    found = {proc.text(root / CPUS / f"cpu{cpu}/cpufreq/scaling_governor") for cpu in cpus}
    names = sorted(name for name in found if name)
    if not names:
        return absent("1", "no cpufreq governor is visible (usual in virtual machines)")
    return Reading(value=float(names == ["performance"]), unit="1", method=f"scaling_governor: {', '.join(names)}")


def turbo(root: Path) -> Reading:
    """1 if turbo is on, else 0."""
    off, boost = proc.number(root / CPUS / "intel_pstate/no_turbo"), proc.number(root / CPUS / "cpufreq/boost")
    if off is not None:
        return Reading(value=1.0 - off, unit="1", method="intel_pstate/no_turbo")
    if boost is not None:
        return Reading(value=boost, unit="1", method="cpufreq/boost")
    return absent("1", "no turbo switch is visible (usual in virtual machines)")


def temperature_k(root: Path) -> Reading:
    """The hottest thermal zone."""
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*/temp"))
    values = [value / 1000 for zone in zones if (value := proc.number(zone)) is not None]
    if not values:
        return absent("K", "no thermal zone is visible (usual in virtual machines)")
    return Reading(value=max(values) + 273.15, unit="K", method="hottest thermal zone")
