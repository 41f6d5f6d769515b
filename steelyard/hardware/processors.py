"""The CPUs that this process may use, and how many threads that makes."""

import math
import os
from pathlib import Path

from steelyard.core.errors import UsageError
from steelyard.guard import cgroup, proc


def default_cpus(root: Path = proc.ROOT) -> tuple[int, ...]:
    """One CPU per physical core of those this process may use, fewer where a cgroup quota allows less.

    Two threads on one core share its arithmetic units: runtimes differ in whether they use both, so
    the default budget gives each core once.
    """
    allowed = sorted(os.sched_getaffinity(0))
    chosen: dict[tuple[str, str], int] = {}
    for cpu in allowed:
        topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        package, core = proc.text(topology / "physical_package_id"), proc.text(topology / "core_id")
        chosen.setdefault((package or "", core if core is not None else f"cpu{cpu}"), cpu)
    cpus = sorted(chosen.values())
    quota = cgroup.cpu_quota(root).value
    return tuple(cpus[: max(1, math.floor(quota))] if quota is not None else cpus)


def default_threads(root: Path = proc.ROOT) -> int:
    """As many as `default_cpus`."""
    return len(default_cpus(root))


def choose_cpus(threads: int | None, cpus: str | None, root: Path = proc.ROOT) -> tuple[int, ...]:
    """The CPUs of `--threads` and `--cpus`; both may be absent. Raises UsageError naming what is there.

    More threads than cores take the cores' second threads as well; more threads than CPUs are refused,
    since the CPU set enforces the thread count for every runtime alike.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if threads is not None and threads < 1:
        raise UsageError(f"--threads {threads}: at least 1 is needed")
    if cpus is not None:
        chosen = parse_cpus(cpus)
        if missing := [cpu for cpu in chosen if cpu not in allowed]:
            raise UsageError(
                f"--cpus {cpus}: this process may not use CPU {', '.join(map(str, missing))}; "
                f"it may use {format_cpus(tuple(allowed))}"
            )
        if threads is not None and threads > len(chosen):
            raise UsageError(f"--threads {threads} are more than the {len(chosen)} CPUs of --cpus {cpus}")
        return chosen if threads is None else chosen[:threads]
    cores = default_cpus(root)
    if threads is None:
        return cores
    if threads > len(allowed):
        raise UsageError(
            f"--threads {threads}: this process may use {len(allowed)} CPUs ({format_cpus(tuple(allowed))})"
        )
    spare = [cpu for cpu in allowed if cpu not in cores]
    return tuple(sorted([*cores, *spare][:threads]))


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
