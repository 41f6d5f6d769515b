"""What others spoiled, a round or a launch: decided from the readings around and over each launch, never from what it
measured.

A round counts as contaminated if in any of its launches others than the run itself

- used more of the measured CPUs over the launch than a tenth of one and one percent of all, and 0.03 s more;
- used half a CPU and one percent of all in one of the short samples before and after it;
- or if the hypervisor took, or a CPU quota stopped, more than 5 % over the launch (of launches in turns: over more than
  half of them),
- or the supervisor was away for more than a second (`steelyard.guard.presence`): it cannot vouch for what was
  meanwhile, and a machine that slept is another one when it wakes;
- or if threads of the launch did not stand a second after they were stopped: they may have run in others' turns.

It is so for the models that these launches ran; others' launches of the round stand (`steelyard.analysis.left_out`).

Launches in turns share their time, so that what the hypervisor takes falls on all of them by chance alike. Where it
takes more of one, as of a runtime that keeps all CPUs busy, that launch is left out, and not its round: that one is
slower for it, and the others are not.

On a virtual machine with two CPUs and nobody else at work, launches of five runtimes (0.3 to 19 s, compile
workers included) read at most 0.05 of a CPU, and beside a program that spins on one of them 1.0: the limit,
0.15 at 1 s and 0.12 later, lies more than twice above the one and seven times below the other. A launch of
0.26 s read up to 0.13 with nobody there, because a process's time is told in whole clock ticks of 10 ms,
user and system apart: that is what the 0.03 s are for. The short samples are 15 ticks per CPU long, so
that half a CPU is what they can tell from chance.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from steelyard.core.case import Arm
from steelyard.core.metrics import Reading
from steelyard.core.result import LaunchRecord
from steelyard.guard.halt import STOPPING_S

SHARE_OF_ALL = 0.01
CPUS_DURING = 0.1
TICKS_S = 0.03
CPUS_AT_THE_ENDS = 0.5
TAKEN_SHARE = 0.05
"""Of steal and of throttled periods: the ratio of two programs is then off by as much in the worst case."""

AWAY_S = 1.0

_ENDS = (("before", "just before"), ("after", "just after"))
_TAKEN = (
    ("during/steal_share", "the hypervisor gave {:.0%} of the CPU time to other guests"),
    ("during/throttled_share", "a CPU quota stopped it in {:.0%} of the scheduler periods"),
)
_NAMED = 2


def contamination(noise: Mapping[str, Reading]) -> str:
    """What contaminated a launch, as evidence for people; empty if nothing did. `noise` is the launch record's."""
    return ", ".join(filter(None, (_touched(noise), _taken(noise))))


def _touched(noise: Mapping[str, Reading]) -> str:
    """What others did on the CPUs of a launch, or while nobody watched it."""
    found = []
    cpus = _value(noise, "during/measured_cpus")
    if cpus is not None:
        used = _cpus(noise, "during", cpus)
        watched_s = _value(noise, "during/watched_s")
        if used is not None and watched_s and used > CPUS_DURING + SHARE_OF_ALL * cpus + TICKS_S / watched_s:
            found.append(f"other processes used {used:.2f} of {cpus:.0f} CPUs while it ran")
        for key, when in _ENDS:
            used = _cpus(noise, key, cpus)
            if used is not None and used > CPUS_AT_THE_ENDS + SHARE_OF_ALL * cpus:
                found.append(f"other processes used {used:.2f} of {cpus:.0f} CPUs {when} it")
    away_s = _value(noise, "during/away_s")
    if away_s is not None and away_s > AWAY_S:
        found.append(f"bench itself was stopped, or the machine slept, for {away_s:.3g} s while it ran")
    moving = _value(noise, "during/moving_threads")
    if moving:
        threads = f"{moving:.0f} {'thread' if moving == 1 else 'threads'}"
        found.append(f"{threads} of it did not stand within {STOPPING_S:g} s for the turns of others")
    return ", ".join(found)


def _taken(noise: Mapping[str, Reading]) -> str:
    """How much of a launch's time the host kept from it, where that is too much."""
    shares = ((_value(noise, key), says) for key, says in _TAKEN)
    return ", ".join(says.format(share) for share, says in shares if share is not None and share > TAKEN_SHARE)


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A launch whose times do not count, and the evidence."""

    arm: str
    round: int
    told: str


def contaminated_launches(launches: Iterable[LaunchRecord]) -> dict[str, Spoiled]:
    """The launches that contaminate their round, by name. All launches of the rounds that are asked about."""
    rounds: dict[int, list[LaunchRecord]] = {}
    for record in launches:
        rounds.setdefault(record.round, []).append(record)
    found = {}
    for _, records in sorted(rounds.items()):
        most = 2 * sum(bool(_taken(record.noise)) for record in records) > len(records)
        for record in records:
            if why := contamination(record.noise) if most or not _in_turns(record) else _touched(record.noise):
                found[record.launch] = Spoiled(record.arm, record.round, why)
    return found


def contaminated_rounds(launches: Iterable[LaunchRecord]) -> dict[int, str]:
    """The rounds of these launches that were contaminated, each with its evidence. All launches of one segment."""
    rounds: dict[int, list[Spoiled]] = {}
    for spoiled in contaminated_launches(launches).values():
        rounds.setdefault(spoiled.round, []).append(spoiled)
    return {number: told_of(found) for number, found in rounds.items()}


def told_of(spoiled: Sequence[Spoiled]) -> str:
    """The evidence of launches in one line: the first of it."""
    more = f"; and in {len(spoiled) - _NAMED} more launches" if len(spoiled) > _NAMED else ""
    return "; ".join(f"{each.arm}: {each.told}" for each in spoiled[:_NAMED]) + more


def stolen_launches(launches: Iterable[LaunchRecord]) -> dict[str, Spoiled]:
    """The launches in turns that lost too much time to the host, by name and in their order."""
    found = {record.launch: (record, _taken(record.noise)) for record in launches if _in_turns(record)}
    return {name: Spoiled(record.arm, record.round, told) for name, (record, told) in found.items() if told}


def unpaired_rounds(launches: Iterable[LaunchRecord], arms: Iterable[Arm], baseline: str) -> set[int]:
    """The rounds that give no pair, or no noise floor: a launch of the baseline or the control arm lost its time."""
    needed = {arm.label for arm in arms if arm.control or arm.label == baseline}
    return {lost.round for lost in stolen_launches(launches).values() if lost.arm in needed}


def _in_turns(record: LaunchRecord) -> bool:
    return record.ran_s is not None


def _cpus(noise: Mapping[str, Reading], when: str, cpus: float) -> float | None:
    share = _value(noise, f"{when}/foreign_cpu_share")
    return None if share is None else share * cpus


def _value(noise: Mapping[str, Reading], key: str) -> float | None:
    reading = noise.get(key)
    return None if reading is None else reading.value
