"""Limits that a container or service puts on this process: CPU quota, throttling, memory. cgroup v2 and v1."""

import re
from collections.abc import Iterator
from pathlib import Path

import psutil

from steelyard.core.metrics import Reading, absent
from steelyard.guard.proc import ROOT, number, text

# cgroup v1 writes "no limit" as the largest page-aligned 63-bit number.
_NO_LIMIT_BYTES = 1 << 60
_MEMORY = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Of v2 and v1: the file of the limit, that of the use, and the line of memory.stat with what can be dropped."""


def cpu_quota(root: Path = ROOT) -> Reading:
    """How many CPUs' worth of time this process may use: the tightest quota up the tree."""
    found = [quota for directory in _directories("cpu", root) if (quota := _quota(directory)) is not None]
    return Reading(value=min(found), unit="1", method="cgroup") if found else absent("1", "no CPU quota is set")


def memory_limit(root: Path = ROOT) -> Reading:
    """The tightest memory limit up the tree."""
    limits = []
    for directory in _directories("memory", root):
        for name in ("memory.max", "memory.limit_in_bytes"):
            value = number(directory / name)
            if value is not None and value < _NO_LIMIT_BYTES:
                limits.append(value)
    return Reading(value=min(limits), unit="B", method="cgroup") if limits else absent("B", "no memory limit is set")


def free_memory_bytes(root: Path = ROOT) -> float:
    """What may still be used of the host's memory, within the limits of this process's control groups: of each its
    limit less what all in it use, but for what could be dropped (`memory.current` without `inactive_file`)."""
    found = [float(psutil.virtual_memory().available)]
    for directory in _directories("memory", root):
        for limit, used, files in _MEMORY:
            most, current = number(directory / limit), number(directory / used)
            if most is not None and most < _NO_LIMIT_BYTES and current is not None:
                dropped = re.search(rf"^{files} (\d+)", text(directory / "memory.stat") or "", re.M)
                found.append(max(0.0, most - current + (int(dropped[1]) if dropped else 0)))
    return min(found)


def throttling(root: Path = ROOT) -> dict[str, int]:
    """Scheduler periods and throttled ones of the tightest group so far; empty where no quota is enforced."""
    for directory in _directories("cpu", root):
        if _quota(directory) is not None:
            stat = dict(re.findall(r"^(nr_periods|nr_throttled) (\d+)", text(directory / "cpu.stat") or "", re.M))
            if len(stat) == 2:
                return {name: int(value) for name, value in stat.items()}
    return {}


def throttled_share(before: dict[str, int], after: dict[str, int]) -> Reading:
    """The share of scheduler periods in which the quota stopped this group."""
    if not before or not after:
        return absent("1", "no CPU quota is set, so nothing is throttled by one")
    periods = after["nr_periods"] - before["nr_periods"]
    if periods <= 0:
        return absent("1", "no scheduler period has passed")
    return Reading(value=(after["nr_throttled"] - before["nr_throttled"]) / periods, unit="1", method="cgroup cpu.stat")


def _quota(directory: Path) -> float | None:
    """CPUs: quota / period, out of cpu.max (v2) or cpu.cfs_quota_us (v1); None without a limit."""
    fields = (text(directory / "cpu.max") or "").split()
    if len(fields) == 2 and fields[0].isdigit() and int(fields[1]) > 0:
        return int(fields[0]) / int(fields[1])
    quota, period = number(directory / "cpu.cfs_quota_us"), number(directory / "cpu.cfs_period_us")
    return quota / period if quota is not None and period and quota > 0 else None


def _directories(controller: str, root: Path) -> Iterator[Path]:
    """This process's groups from its own up to the mount, first v2 then v1. In a container with a
    namespace of its own the path is `/` and the mount itself is the group."""
    base = root / "sys/fs/cgroup"
    for line in (text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mounts = [base, base / "unified"]
        elif controller in controllers.split(","):
            mounts = [base / controllers, base / controller]
        else:
            continue
        for mount in mounts:
            group = mount / path.lstrip("/")
            while group.is_relative_to(mount):
                if group.is_dir():
                    yield group
                if group == mount:
                    break
                group = group.parent
