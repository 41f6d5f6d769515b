"""A search for a faster variant of one program: its trials, the best so far, and what the search was worth.

A program is tuned in parts: one for a search among a runtime's options, a part for each kernel where a compiler
searches schedules. The time of a call is taken to be the sum of its parts, each as often as the call makes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SHARE = 0.95
"""A search has come near its end when it has reached this share of the final speed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is searched for itself: its name, and how often one call of the program makes it."""

    name: str
    calls: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What became of a candidate for a part: the time of one call of the part [s]; None where it has none, with the
    reason. A candidate is checked before it is timed."""

    candidate: str
    part: str = ""
    latency_s: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(Tried):
    """The same with what it took [s]: whatever passed since the trial before, or since the search was started. `run` is
    the stored run that tried it, if one did."""

    cost_s: float
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched, where and with what: a search goes on only with what it began with. `versions` are those of
    the runtime."""

    suite: str
    point: str
    point_key: str
    backend: str
    device: str
    threads: int
    versions: tuple[str, ...]
    seed: int
    parts: tuple[Part, ...]
    created_utc: str
    tool_version: str


@dataclass(frozen=True, slots=True)
class Step:
    """After so many trials, which took so long together [s], the best so far: the time of one call [s]."""

    trials: int
    seconds: float
    latency_s: float


def best_so_far(parts: Sequence[Part], trials: Sequence[Trial]) -> tuple[Step, ...]:
    """The curve: a step for every trial from the first on with which every part has a candidate that has a time."""
    best: dict[str, float] = {}
    steps, seconds = [], 0.0
    for number, trial in enumerate(trials, start=1):
        seconds += trial.cost_s
        if trial.latency_s is not None:
            best[trial.part] = min(trial.latency_s, best.get(trial.part, trial.latency_s))
        if all(part.name in best for part in parts):
            steps.append(Step(number, seconds, sum(part.calls * best[part.name] for part in parts)))
    return tuple(steps)


def reached(steps: Sequence[Step], share: float = SHARE) -> Step | None:
    """The first step at which the best so far has that share of the final speed; None without a step."""
    return next((step for step in steps if steps[-1].latency_s >= share * step.latency_s), None)


def area(steps: Sequence[Step], seconds: float) -> float | None:
    """The area under the curve of speed against time, as a share of what it were with the final speed from the start:
    the mean over `seconds`, the length of the search, of final latency over best so far, 0 where there is none yet."""
    if not steps or seconds <= 0:
        return None
    final, covered = steps[-1].latency_s, 0.0
    for step, after in pairwise(steps):
        covered += (after.seconds - step.seconds) * final / step.latency_s
    return (covered + seconds - steps[-1].seconds) / seconds


def break_even(cost_s: float, untuned_s: float, tuned_s: float) -> float | None:
    """After how many calls the time that a search took is saved; None where no call saves any."""
    saved = untuned_s - tuned_s
    return cost_s / saved if saved > 0 else None


def winners(trials: Sequence[Trial]) -> dict[str, Trial]:
    """The fastest candidate of each part."""
    found: dict[str, Trial] = {}
    for trial in trials:
        held = found.get(trial.part)
        if trial.latency_s is not None and (held is None or trial.latency_s < (held.latency_s or 0.0)):
            found[trial.part] = trial
    return found
