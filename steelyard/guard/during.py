"""What others did to the measured CPUs while a launch ran: two readings, one before it and one at its end."""

import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from steelyard.core.metrics import Reading, absent
from steelyard.guard import cgroup, proc
from steelyard.guard.tree import tree_cpu_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The counters of the kernel at the beginning of a launch, moved on by as much as they counted while it was
    stopped; `cpus` are the measured ones."""

    cpus: tuple[int, ...]
    ticks: Mapping[int, proc.CpuTicks]
    periods: Mapping[str, int]
    own_s: float
    begun_s: float
    root: Path


def begin(cpus: Collection[int] | None = None, root: Path = proc.ROOT) -> Watch:
    """Read the counters before the worker is started; `cpus` by default all that the kernel shows."""
    ticks = proc.cpu_ticks(root)
    return Watch(
        cpus=tuple(cpus if cpus else ticks),
        ticks=ticks,
        periods=cgroup.throttling(root),
        own_s=time.process_time(),
        begun_s=time.monotonic(),
        root=root,
    )


def resumed(watch: Watch, stopped: Watch) -> Watch:
    """The watch of a launch that runs again now, without what was since it was `stopped` (counters read then)."""
    now = begin(watch.cpus, watch.root)
    return replace(
        watch,
        ticks={
            cpu: proc.CpuTicks(
                busy=ticks.busy + now.ticks[cpu].busy - stopped.ticks[cpu].busy,
                idle=ticks.idle + now.ticks[cpu].idle - stopped.ticks[cpu].idle,
                steal=ticks.steal + now.ticks[cpu].steal - stopped.ticks[cpu].steal,
            )
            for cpu, ticks in watch.ticks.items()
            if cpu in now.ticks and cpu in stopped.ticks
        },
        periods={
            name: count + now.periods[name] - stopped.periods[name]
            for name, count in watch.periods.items()
            if name in now.periods and name in stopped.periods
        },
        own_s=watch.own_s + now.own_s - stopped.own_s,
        begun_s=watch.begun_s + now.begun_s - stopped.begun_s,
    )


def end(watch: Watch, worker: int) -> dict[str, Reading]:
    """Read them again and say what others did. Call it before the worker (its process id) is waited for.

    Keys: `foreign_cpu_share`, the share of the measured CPUs' time that was neither idle nor used by the
    worker's processes or the supervisor; `steal_share`; `throttled_share`, the share of scheduler
    periods in which a CPU quota stopped the launch; `measured_cpus`, how many they are; and `watched_s`,
    how long that was. Nothing is read in between, so that the measured program is not disturbed. What
    the foreign share cannot know: ticks are sampled by the kernel, and a process of the worker that was
    orphaned and ended counts as foreign.
    """
    # The tree first: what the worker does between the two readings then counts as foreign, a few ms at most.
    tree_s = tree_cpu_s(worker, watch.root)
    own_s = time.process_time() - watch.own_s
    ticks = proc.cpu_ticks(watch.root)
    return {
        "foreign_cpu_share": _foreign(watch, ticks, tree_s, own_s),
        "steal_share": proc.steal_share(watch.ticks, ticks, watch.cpus),
        "throttled_share": cgroup.throttled_share(dict(watch.periods), cgroup.throttling(watch.root)),
        "watched_s": Reading(value=time.monotonic() - watch.begun_s, unit="s", method="monotonic clock"),
        "measured_cpus": Reading(value=float(len(watch.cpus)), unit="1", method="the CPUs that these shares are of"),
    }


def _foreign(watch: Watch, ticks: Mapping[int, proc.CpuTicks], tree_s: float | None, own_s: float) -> Reading:
    if tree_s is None:
        return absent("1", "the CPU time of the worker's processes could not be read")
    # A supervisor that stepped aside to spare CPUs used none of the measured ones.
    if not os.sched_getaffinity(0) & set(watch.cpus):
        own_s = 0.0
    found = proc.busy_share(watch.ticks, ticks, watch.cpus, tree_s + own_s)
    if found.value is None:
        return found
    return Reading(value=found.value, unit="1", method="/proc/stat less the worker's processes and the supervisor")
