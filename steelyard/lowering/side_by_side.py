"""How many processes lower side by side: what is still to be made, the CPUs and the memory decide."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from steelyard.guard.cgroup import cpu_quota, free_memory_bytes
from steelyard.lowering.steps import REFERENCES, Step

_PROCESS_GB = 1.5
_PROCESS_WEIGHTS = 3.0
"""What a process needs, beside and in multiples of the weights: the frameworks; the weights in float64 and what is
computed with them, or copies that converters make. With SmolLM2-135M in float32 (0.54 GB) 3.1 and 2.0 GB were seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """`processes` at once, with the `threads` that each may have as variables of its environment: none where there is
    one, which has the machine to itself. `reason` says why not more of them, if it is for want of memory.
    """

    processes: int
    threads: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


def side_by_side(missing: Sequence[Step]) -> SideBySide:
    """For these steps on this machine now: one process for the references, and one for the formats of each program."""
    programs = len({step.program for step in missing if step.program})
    cpus = _cpus()
    useful = min(programs + any(step.makes == REFERENCES for step in missing), cpus)
    if useful < 2:
        return SideBySide(processes=1)
    each = _PROCESS_GB + _PROCESS_WEIGHTS * max(step.gigabytes for step in missing)
    free = free_memory_bytes() / 1e9
    fit = min(useful, max(1, int(free // each)))
    reason = f"{useful} processes side by side may need {useful * each:.1f} GB, and {free:.1f} GB are free"
    # Threads of one process that wait for each other on a CPU which another has take many times as long.
    threads = {"OMP_NUM_THREADS": str(cpus // fit)} if fit > 1 else {}
    return SideBySide(processes=fit, threads=threads, reason=reason if fit < useful else "")


def _cpus() -> int:
    count = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    quota = cpu_quota().value
    return count if quota is None else max(1, min(count, int(quota)))
