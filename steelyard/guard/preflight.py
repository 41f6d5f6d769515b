"""Before anything is measured: is this machine quiet enough for a verdict? Takes under 3 s, changes nothing."""

import os
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from steelyard.core.metrics import Reading, absent
from steelyard.core.run import Noise
from steelyard.guard import cgroup, proc, spin
from steelyard.guard.boundary import boundary_sample
from steelyard.guard.grades import grade

_SPIN_S = 1.0
_IDLE_S = 0.5
_START_S = 0.3
"""Time for the children to start; they wait for a common instant."""


def preflight(
    cpus: Collection[int] | None = None, *, spin_s: float = _SPIN_S, idle_s: float = _IDLE_S, root: Path = proc.ROOT
) -> Noise:
    """Grade the machine on `cpus` (default: those this process may use).

    First it sleeps and looks at what others do; then one child per CPU spins, all at once, as the
    measured programs will. Each reading that cannot be taken is there with its reason.
    """
    chosen = sorted(os.sched_getaffinity(0) if cpus is None else cpus)
    readings = dict(boundary_sample(chosen, seconds=idle_s, root=root))
    ticks, periods, hot = proc.cpu_ticks(root), cgroup.throttling(root), _throttle_events(chosen, root)
    readings.update(hiccups(chosen, spin_s))
    readings["steal_share"] = proc.steal_share(ticks, proc.cpu_ticks(root), chosen)
    readings["throttled_share"] = cgroup.throttled_share(periods, cgroup.throttling(root))
    readings["cpu_quota"] = cgroup.cpu_quota(root)
    readings["thermal_throttles"] = _difference(hot, _throttle_events(chosen, root))
    readings["governor_performance"] = _governor(chosen, root)
    readings["turbo"] = _turbo(root)
    readings["temperature_k"] = _temperature(root)
    verdict, evidence = grade(readings)
    return Noise(grade=verdict, readings=readings, evidence=evidence)


def hiccups(cpus: Collection[int], seconds: float) -> Mapping[str, Reading]:
    """What one spinning child per CPU lost to others: `hiccup_share` (the worst CPU) and `hiccup_longest_s`."""
    start = time.monotonic_ns() + round(_START_S * 1e9)
    end = start + round(seconds * 1e9)
    command = [sys.executable, "-I", "-S", spin.__file__]
    children = [
        subprocess.Popen([*command, str(cpu), str(start), str(end)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for cpu in cpus
    ]
    lost, longest, failed = [0.0], [0.0], []
    for cpu, child in zip(cpus, children, strict=True):
        try:
            out, err = child.communicate(timeout=seconds + 10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            failed.append(f"CPU {cpu}: the spin meter did not end")
            continue
        fields = out.split()
        if child.returncode != 0 or len(fields) != 3 or int(fields[1]) == 0:
            said = err.decode(errors="replace").strip().splitlines()
            failed.append(f"CPU {cpu}: {said[-1] if said else 'the spin meter started too late'}")
            continue
        lost.append(int(fields[0]) / int(fields[1]))
        longest.append(int(fields[2]) / 1e9)
    if failed or not children:
        reason = "; ".join(failed) or "no CPU to spin on"
        return {"hiccup_share": absent("1", reason), "hiccup_longest_s": absent("s", reason)}
    method = f"spin for {seconds:g} s on {len(children)} CPUs at once, gaps above {spin.GAP_NS // 1000} us; worst CPU"
    return {
        "hiccup_share": Reading(value=max(lost), unit="1", method=method),
        "hiccup_longest_s": Reading(value=max(longest), unit="s", method=method),
    }


def _throttle_events(cpus: Collection[int], root: Path) -> float | None:
    base = root / "sys/devices/system/cpu"
    counts = [proc.number(base / f"cpu{cpu}/thermal_throttle/core_throttle_count") for cpu in cpus]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _difference(before: float | None, after: float | None) -> Reading:
    if before is None or after is None:
        return absent("1", "the kernel shows no thermal throttle counters here")
    return Reading(value=after - before, unit="1", method="core_throttle_count")


def _governor(cpus: Collection[int], root: Path) -> Reading:
    base = root / "sys/devices/system/cpu"
    found = {proc.text(base / f"cpu{cpu}/cpufreq/scaling_governor") for cpu in cpus}
    names = sorted(name for name in found if name)
    if not names:
        return absent("1", "no cpufreq governor is visible (usual in virtual machines)")
    return Reading(value=float(names == ["performance"]), unit="1", method=f"scaling_governor: {', '.join(names)}")


def _turbo(root: Path) -> Reading:
    base = root / "sys/devices/system/cpu"
    off, boost = proc.number(base / "intel_pstate/no_turbo"), proc.number(base / "cpufreq/boost")
    if off is not None:
        return Reading(value=1.0 - off, unit="1", method="intel_pstate/no_turbo")
    if boost is not None:
        return Reading(value=boost, unit="1", method="cpufreq/boost")
    return absent("1", "no turbo switch is visible (usual in virtual machines)")


def _temperature(root: Path) -> Reading:
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*/temp"))
    values = [value / 1000 for zone in zones if (value := proc.number(zone)) is not None]
    if not values:
        return absent("K", "no thermal zone is visible (usual in virtual machines)")
    return Reading(value=max(values) + 273.15, unit="K", method="hottest thermal zone")
