"""The CPUs that this process may use, and how many threads that makes."""

import math
import os
from collections.abc import Collection
from pathlib import Path

from steelyard.core.errors import UsageError
from steelyard.guard import cgroup, proc


def allowed_cpus() -> tuple[int, ...]:
    """The CPUs that this process may use. Raises UsageError on a system that pins no process to CPUs, as macOS."""
    if not hasattr(os, "sched_getaffinity"):
        raise UsageError(
            "this system pins no process to CPUs, which is how a run gives every backend as many: measure on Linux; "
            "bench hardware, list, show, report and compare work here"
        )
    return tuple(sorted(os.sched_getaffinity(0)))


def default_cpus(root: Path = proc.ROOT) -> tuple[int, ...]:
    """One CPU per physical core of those this process may use, fewer where a cgroup quota allows less.

    Two threads on one core share its arithmetic units: runtimes differ in whether they use both, so
    the default budget gives each core once.
    """
    cpus = sorted(cores_of(allowed_cpus(), root).values())
    quota = cgroup.cpu_quota(root).value
    return tuple(cpus[: max(1, math.floor(quota))] if quota is not None else cpus)


def cores_of(cpus: Collection[int], root: Path = proc.ROOT) -> dict[tuple[str, str], int]:
    """The physical cores of these CPUs, by package and core, each with its first CPU; without a topology every CPU
    counts as one."""
    found: dict[tuple[str, str], int] = {}
    for cpu in sorted(cpus):
        topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        package, core = proc.text(topology / "physical_package_id"), proc.text(topology / "core_id")
        found.setdefault((package or "", core if core is not None else f"cpu{cpu}"), cpu)
    return found


def default_threads(root: Path = proc.ROOT) -> int:
    """As many as `default_cpus`."""
    return len(default_cpus(root))


def parse_cpus(text: str) -> tuple[int, ...]:
    """`0-3,8` as (0, 1, 2, 3, 8). Raises UsageError."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise UsageError(f"--cpus '{text}' is not a list like 0-3,8")
        found.update(range(int(first), int(last if dash else first) + 1))
    return tuple(sorted(found))


def format_cpus(cpus: tuple[int, ...]) -> str:
    """The inverse of `parse_cpus`."""
    parts: list[str] = []
    ordered = sorted(cpus)
    while ordered:
        end = 1
        while end < len(ordered) and ordered[end] == ordered[0] + end:
            end += 1
        parts.append(str(ordered[0]) if end == 1 else f"{ordered[0]}-{ordered[end - 1]}")
        ordered = ordered[end:]
    return ",".join(parts)


def step_aside(measured: tuple[int, ...]) -> None:
    """Leave the measured CPUs to the workers where the host has a spare one."""
    spare = os.sched_getaffinity(0) - set(measured)
    if measured and spare:
        os.sched_setaffinity(0, spare)
