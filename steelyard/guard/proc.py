"""Numbers out of /proc and /sys that tell how busy the machine is. `root` is `/`, or a test's tree."""

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from steelyard.core.metrics import Reading, absent

ROOT = Path("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTicks:
    """Clock ticks of one CPU since boot: at work (for anybody), idle, and stolen by the hypervisor."""

    busy: int
    idle: int
    steal: int

    @property
    def total(self) -> int:
        """All ticks."""
        return self.busy + self.idle + self.steal


def text(path: Path) -> str | None:
    """The stripped content of a small file, or None if it is not there or cannot be read."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def number(path: Path) -> float | None:
    """The first number in a small file, or None."""
    match = re.search(r"-?\d+(\.\d+)?", text(path) or "")
    return float(match[0]) if match else None


def cpu_ticks(root: Path = ROOT) -> dict[int, CpuTicks]:
    """Per CPU, from /proc/stat; empty if it cannot be read. iowait counts as idle."""
    found = {}
    for line in (text(root / "proc/stat") or "").splitlines():
        match = re.match(r"cpu(\d+)((?: \d+)+)", line)
        if match:
            fields = [*map(int, match[2].split()), *[0] * 8]
            user, nice, system, idle, iowait, irq, softirq, steal = fields[:8]
            found[int(match[1])] = CpuTicks(busy=user + nice + system + irq + softirq, idle=idle + iowait, steal=steal)
    return found


def steal_share(before: Mapping[int, CpuTicks], after: Mapping[int, CpuTicks], cpus: Collection[int]) -> Reading:
    """The share of time that the hypervisor gave to others, over the CPUs together."""
    common = [cpu for cpu in cpus if cpu in before and cpu in after]
    total = sum(after[cpu].total - before[cpu].total for cpu in common)
    if total <= 0:
        return absent("1", "/proc/stat shows no time passing on these CPUs")
    stolen = sum(after[cpu].steal - before[cpu].steal for cpu in common)
    return Reading(value=stolen / total, unit="1", method="/proc/stat")


def busy_share(
    before: Mapping[int, CpuTicks], after: Mapping[int, CpuTicks], cpus: Collection[int], own_s: float
) -> Reading:
    """The share of the CPUs' time that others than this process used; `own_s` is its own CPU time meanwhile."""
    common = [cpu for cpu in cpus if cpu in before and cpu in after]
    total = sum(after[cpu].total - before[cpu].total for cpu in common)
    if total <= 0:
        return absent("1", "/proc/stat shows no time passing on these CPUs")
    busy = sum(after[cpu].busy - before[cpu].busy for cpu in common)
    return Reading(value=max(0.0, busy - own_s * _ticks_per_s()) / total, unit="1", method="/proc/stat less own time")


def pressure_s(root: Path = ROOT) -> float | None:
    """Seconds since boot during which some task waited for a CPU, from the pressure stall information."""
    match = re.search(r"^some .*total=(\d+)", text(root / "proc/pressure/cpu") or "", re.MULTILINE)
    return int(match[1]) / 1e6 if match else None


def load_1min(root: Path = ROOT) -> Reading:
    """The load average over a minute: tasks that run or wait. It lags and counts one's own work."""
    value = number(root / "proc/loadavg")
    return absent("1", "/proc/loadavg cannot be read") if value is None else Reading(value=value, unit="1")


def _ticks_per_s() -> int:
    return os.sysconf("SC_CLK_TCK")
