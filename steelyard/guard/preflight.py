"""Before anything is measured: is this machine quiet enough for a verdict? Takes under 3 s, changes nothing."""

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from steelyard.core.metrics import Reading, absent
from steelyard.core.run import Noise
from steelyard.guard import cgroup, clocks, proc, spin
from steelyard.guard.boundary import boundary_sample
from steelyard.guard.environment import for_child
from steelyard.guard.gpu import gpu_readings
from steelyard.guard.grades import grade

REST_S = 10.0
_SPIN_S = 1.0
_IDLE_S = 0.5
_START_S = 0.3
"""Time for the children to start; they wait for a common instant."""


def preflight(
    cpus: Collection[int] | None = None,
    *,
    gpu: int | None = None,
    spin_s: float = _SPIN_S,
    idle_s: float = _IDLE_S,
    root: Path = proc.ROOT,
) -> Noise:
    """Grade the machine on `cpus` (default: those this process may use), and the NVIDIA board `gpu` if one is used.

    First it sleeps and looks at what others do; then one child per CPU spins, all at once, as the
    measured programs will. Each reading that cannot be taken is there with its reason.
    """
    chosen = sorted(os.sched_getaffinity(0) if cpus is None else cpus)
    readings = dict(boundary_sample(chosen, seconds=idle_s, root=root))
    ticks, periods, hot = proc.cpu_ticks(root), cgroup.throttling(root), clocks.throttle_events(chosen, root)
    under_load: list[Reading] = []
    readings.update(hiccups(chosen, spin_s, lambda: under_load.append(clocks.clock_hz(chosen, root))))
    readings["steal_share"] = proc.steal_share(ticks, proc.cpu_ticks(root), chosen)
    readings["throttled_share"] = cgroup.throttled_share(periods, cgroup.throttling(root))
    readings["cpu_quota"] = cgroup.cpu_quota(root)
    readings["thermal_throttles"] = clocks.throttled(hot, clocks.throttle_events(chosen, root))
    readings["temperature_k"] = clocks.temperature_k(root)
    readings["governor_performance"] = clocks.governor(chosen, root)
    readings["turbo"] = clocks.turbo(root)
    readings["clock_hz"] = under_load[0]
    readings["clock_share"] = clocks.clock_share(under_load[0], chosen, root)
    readings.update(gpu_readings(gpu))
    verdict, evidence = grade(readings)
    return Noise(grade=verdict, readings=readings, evidence=evidence)


def twice_if_noisy(
    look: Callable[[], Noise], say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
) -> Noise:
    """What `look` finds; where verdicts would be withheld, what it finds 10 s later, which is said in a reading.

    What was done last, gigabytes of lowered models written to disk above all, occupies a machine for some seconds more.
    One that stays noisy is found out between the launches, whatever was found here.
    """
    first = look()
    if first.grade != "F":
        return first
    told = "; ".join(first.evidence)
    say(f"machine noise: grade F; {told}; it is looked at again in {REST_S:g} s")
    sleep(REST_S)
    second = look()
    again = Reading(value=2, unit="1", method=f"{REST_S:g} s before the grade was F; {told}")
    return dataclasses.replace(second, readings={**second.readings, "looks": again})


def hiccups(cpus: Collection[int], seconds: float, halfway: Callable[[], None] = lambda: None) -> Mapping[str, Reading]:
    """What one spinning child per CPU lost to others: `hiccup_share` (the worst CPU), `hiccup_share/cpuN` for each
    of them, and `hiccup_longest_s`; and how fast it went outside of these gaps, `spin_hz` (the slowest CPU) and
    `spin_hz/cpuN`. `halfway` is called once while they spin."""
    start = time.monotonic_ns() + round(_START_S * 1e9)
    end = start + round(seconds * 1e9)
    command = [sys.executable, "-I", "-S", spin.__file__]
    children = [
        # One pipe each: hundreds of CPUs would need more open files than a process may have.
        subprocess.Popen(
            [*command, str(cpu), str(start), str(end)],
            env=for_child(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a terminal that is closed takes none along
        )
        for cpu in cpus
    ]
    time.sleep(max(0.0, (start + end) / 2 - time.monotonic_ns()) / 1e9)
    halfway()
    lost: dict[int, float] = {}
    speeds: dict[int, float] = {}
    longest, failed = [0.0], []
    for cpu, child in zip(cpus, children, strict=True):
        try:
            out, _ = child.communicate(timeout=seconds + 10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            failed.append(f"CPU {cpu}: the spin meter did not end")
            continue
        lines = out.decode(errors="replace").strip().splitlines()
        fields = lines[-1].split() if lines else []  # above it the loader may complain, as of LD_PRELOAD
        if child.returncode != 0 or len(fields) != 4 or int(fields[1]) == 0:
            said = lines[-1] if child.returncode != 0 and lines else "the spin meter started too late"
            failed.append(f"CPU {cpu}: {said}")
            continue
        lost[cpu] = int(fields[0]) / int(fields[1])
        longest.append(int(fields[2]) / 1e9)
        kept_ns = int(fields[1]) - int(fields[0])
        if kept_ns > 0:
            speeds[cpu] = int(fields[3]) / kept_ns * 1e9
    if failed or not children:
        reason = "; ".join(failed) or "no CPU to spin on"
        units = {"hiccup_share": "1", "hiccup_longest_s": "s", "spin_hz": "Hz"}
        return {name: absent(unit, reason) for name, unit in units.items()}
    method = f"spin for {seconds:g} s on {len(children)} CPUs at once, gaps above {spin.GAP_NS // 1000} us"
    worst = max(lost, key=lambda cpu: lost[cpu])
    return {
        "hiccup_share": Reading(value=lost[worst], unit="1", method=f"{method}; the worst, CPU {worst}"),
        "hiccup_longest_s": Reading(value=max(longest), unit="s", method=f"{method}; the longest gap"),
        **{f"hiccup_share/cpu{cpu}": Reading(value=share, unit="1", method=method) for cpu, share in lost.items()},
        **_spin_hz(speeds, f"spin for {seconds:g} s on {len(children)} CPUs at once, outside of gaps"),
    }


def _spin_hz(speeds: Mapping[int, float], method: str) -> dict[str, Reading]:
    """How often the loop of the spin meter went round in a second. Each CPU had a process of its own, and two of these
    differ by some percent on one CPU: these figures are for the eye, and what is judged comes from one process."""
    if not speeds:
        return {"spin_hz": absent("Hz", "others had all of the CPUs' time")}
    slowest = min(speeds, key=lambda cpu: speeds[cpu])
    return {
        "spin_hz": Reading(value=speeds[slowest], unit="Hz", method=f"{method}; the slowest, CPU {slowest}"),
        **{f"spin_hz/cpu{cpu}": Reading(value=speed, unit="Hz", method=method) for cpu, speed in speeds.items()},
    }
