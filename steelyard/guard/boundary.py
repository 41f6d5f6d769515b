"""The short sample of the machine at the beginning and end of each launch."""

import time
from collections.abc import Collection, Mapping
from pathlib import Path

from steelyard.core.metrics import Reading, absent
from steelyard.guard import proc

SAMPLE_S = 0.15
"""Ticks are 10 ms on most kernels: on two CPUs a share is known to 3 %, and a load on one of them is 50 %."""


def boundary_sample(
    cpus: Collection[int] | None = None, *, seconds: float = SAMPLE_S, root: Path = proc.ROOT
) -> Mapping[str, Reading]:
    """Sleep for `seconds` and say what others did meanwhile on `cpus` (default: all the kernel shows).

    Keys: `steal_share`, `foreign_cpu_share`, `cpu_pressure_share` (share of the time in which some
    task had to wait for a CPU; only where `cpus` are all CPUs) and `load_1min`. Call it while nothing of
    one's own runs.
    """
    before, waited, own = proc.cpu_ticks(root), proc.pressure_s(root), time.process_time()
    begun = time.monotonic()
    time.sleep(seconds)
    after, own = proc.cpu_ticks(root), time.process_time() - own
    passed = time.monotonic() - begun
    chosen = after.keys() if cpus is None else cpus
    return {
        "steal_share": proc.steal_share(before, after, chosen),
        "foreign_cpu_share": proc.busy_share(before, after, chosen, own),
        "cpu_pressure_share": (
            _pressure(waited, proc.pressure_s(root), passed)
            if set(after) <= set(chosen)
            else absent("1", "the kernel counts it over all CPUs, of which some are not measured")
        ),
        "load_1min": proc.load_1min(root),
    }


def _pressure(before: float | None, after: float | None, seconds: float) -> Reading:
    if before is None or after is None:
        return absent("1", "this kernel has no pressure stall information")
    return Reading(value=min(1.0, (after - before) / seconds), unit="1", method="/proc/pressure/cpu")
