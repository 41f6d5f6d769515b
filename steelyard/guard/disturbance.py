"""Which rounds a neighbour touched. Decided from the readings around and over each launch, never from what it measured.

A round counts as disturbed if in any of its launches others than the run itself

- used more of the measured CPUs than a tenth of one CPU and one percent of all, over the launch;
- used half a CPU and one percent of all in one of the short samples before and after it;
- or if the hypervisor took, or a CPU quota stopped, more than 5 % over the launch.

On a quiet virtual machine with two CPUs the reading over a launch of 1 s and more was at most 0.012 of
both CPUs (0.024 of one), over 0.3 s at most 0.041, and a program spinning on one of them 0.5: the
limit, 0.06 of both, lies four times above the one and eight times below the other. The short samples
are 15 clock ticks per CPU long, so that half a CPU is what they can tell from chance.
"""

from collections.abc import Iterable, Mapping

from steelyard.core.metrics import Reading
from steelyard.core.result import LaunchRecord

SHARE_OF_ALL = 0.01
CPUS_DURING = 0.1
CPUS_AT_THE_ENDS = 0.5
TAKEN_SHARE = 0.05
"""Of steal and of throttled periods: the ratio of two programs is then off by as much in the worst case."""

_ENDS = (("before", "just before"), ("after", "just after"))
_TAKEN = (
    ("during/steal_share", "the hypervisor gave {:.0%} of the CPU time to other guests"),
    ("during/throttled_share", "a CPU quota stopped it in {:.0%} of the scheduler periods"),
)
_NAMED = 2


def disturbance(noise: Mapping[str, Reading]) -> str:
    """What disturbed a launch, as evidence for people; empty if nothing did. `noise` is the launch record's."""
    found = []
    cpus = _value(noise, "during/measured_cpus")
    if cpus is not None:
        used = _cpus(noise, "during", cpus)
        if used is not None and used > CPUS_DURING + SHARE_OF_ALL * cpus:
            found.append(f"other processes used {used:.2f} of {cpus:.0f} CPUs while it ran")
        for key, when in _ENDS:
            used = _cpus(noise, key, cpus)
            if used is not None and used > CPUS_AT_THE_ENDS + SHARE_OF_ALL * cpus:
                found.append(f"other processes used {used:.2f} of {cpus:.0f} CPUs {when} it")
    for key, says in _TAKEN:
        share = _value(noise, key)
        if share is not None and share > TAKEN_SHARE:
            found.append(says.format(share))
    return ", ".join(found)


def disturbed_rounds(launches: Iterable[LaunchRecord]) -> dict[int, str]:
    """The rounds of these launches that were disturbed, each with its evidence. All launches of one segment."""
    evidence: dict[int, list[str]] = {}
    for record in launches:
        if found := disturbance(record.noise):
            evidence.setdefault(record.round, []).append(f"{record.arm}: {found}")
    return {number: _told(texts) for number, texts in sorted(evidence.items())}


def _told(texts: list[str]) -> str:
    more = f"; and in {len(texts) - _NAMED} more launches" if len(texts) > _NAMED else ""
    return "; ".join(texts[:_NAMED]) + more


def _cpus(noise: Mapping[str, Reading], when: str, cpus: float) -> float | None:
    share = _value(noise, f"{when}/foreign_cpu_share")
    return None if share is None else share * cpus


def _value(noise: Mapping[str, Reading], key: str) -> float | None:
    reading = noise.get(key)
    return None if reading is None else reading.value
