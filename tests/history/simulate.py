"""How often a history is wrong, and how soon it sees a step: made-up nights, looked at every night as a job would.

python -m tests.history.simulate [SERIES]   # prints the tables of docs/history.md; 100 take some minutes

A version of the runtime changes after 60 nights, and brings a step, or nothing. What is worth repeating is measured
again: a made-up run of old and new in turns, judged by the product's own rule.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from steelyard.analysis import compare_run
from steelyard.history.changes import ENOUGH, Change, told
from tests.fakes.runs import Shape, llm_points, synthetic_run
from tests.history.nights import nights

NIGHTS, BEFORE, RECENT = 100, 60, 7
STEPS = (0.03, 0.05, 0.10)
NOISES = (0.005, 0.01, 0.02)
_NEAR = 3
"""A change is the same one if it moves by no more nights as others are added."""
_LAUNCH = 0.01
"""Standard deviation of a launch in the run that repeats a change: pairs of launches then differ by 1.4 %, where eager
in turns with itself differed by 0.8 to 1.1 % in the published run."""
_RUNS = 200


@dataclass(frozen=True, slots=True)
class Sighting:
    """A change as it is seen at the end of a night, counted from 0: since which night, and what is said of it."""

    night: int
    since: int
    change: Change


def watched(values: NDArray[np.float64], first: int = ENOUGH) -> Iterator[Sighting]:
    """Every change of the last nights that is worth repeating, night after night from the `first` on."""
    stacks = [{"jax": "0.10.1"}] * BEFORE + [{"jax": "0.10.2"}] * max(0, len(values) - BEFORE)
    every = nights(values, stacks)
    for end in range(first, len(values) + 1):
        (found,) = told(every[:end])
        newest = found.newest(RECENT)
        for change in found.changes:
            if change.worth_repeating and change.after.since.run in newest:
                yield Sighting(night=end - 1, since=int(change.after.since.run[1:]), change=change)


def once(sightings: Sequence[Sighting]) -> list[Sighting]:
    """The first sighting of each change."""
    found: list[Sighting] = []
    for sighting in sightings:
        if not any(abs(earlier.since - sighting.since) <= _NEAR for earlier in found):
            found.append(sighting)
    return found


@cache
def confirmed_share(step: float) -> float:
    """How often a run of old and new in turns, 8 rounds of it, calls a version slower that is so by this fraction."""
    slower = 0
    for seed in range(_RUNS):
        run = synthetic_run(
            backends=("eager", "xla"),
            effect={"xla": 1 + step},
            points=llm_points(("decode",)),
            headline="decode",
            shape=Shape(spread=_LAUNCH),
            seed=seed,
        )
        slower += any(item.candidate == "xla" and item.verdict == "slower" for item in compare_run(run))
    return slower / _RUNS


def alarms(series: int, noise: float, seed: int, drift: float = 0.0) -> tuple[float, float, float]:
    """In 1,000 nights of series whose version brings nothing: changes told as slower, runs that repeat them, alarms.
    `drift` is by what fraction they become slower little by little over all nights."""
    random = np.random.default_rng(seed)
    slope = np.log1p(drift) * np.arange(NIGHTS) / NIGHTS
    found = np.zeros(3)
    for _ in range(series):
        values = np.exp(slope + noise * random.standard_normal(NIGHTS))
        seen = [sighting for sighting in watched(values) if sighting.change.word == "slower"]
        runs = [sighting for sighting in seen if sighting.change.versions]
        confirmed_ = [sighting for sighting in runs if random.random() < confirmed_share(0.0)]
        told_ = [sighting for sighting in seen if sighting.change.matters]
        found += (len(once(told_)), len(runs), len(once(confirmed_)))
    changes, repeated, wrong = (1000 * found / (series * NIGHTS)).tolist()
    return changes, repeated, wrong


def confirmed(series: int, noise: float, step: float, seed: int) -> tuple[float, float, float]:
    """The share of versions slower by `step` that are confirmed within 3, 5 and 10 nights."""
    random = np.random.default_rng(seed)
    after = []
    for _ in range(series):
        values = noise * random.standard_normal(BEFORE + 10)
        values[BEFORE:] += np.log1p(step)
        right = [
            sighting.night - BEFORE + 1
            for sighting in watched(np.exp(values), first=BEFORE)
            if sighting.since == BEFORE and sighting.change.word == "slower" and random.random() < confirmed_share(step)
        ]
        after.append(min(right, default=NIGHTS))
    three, five, ten = (sum(nights <= limit for nights in after) / series for limit in (3, 5, 10))
    return three, five, ten


def main(series: int) -> None:
    """Print the tables."""
    print("| noise of a night | drift | told in 1,000 nights | measured again | alarms |")
    print("|---|---|---|---|---|")
    for drift in (0.0, 0.05):
        for noise in NOISES:
            rates = " | ".join(f"{rate:.2f}" for rate in alarms(series, noise, seed=1, drift=drift))
            print(f"| {100 * noise:g} % | {100 * drift:g} % | {rates} |")
    print("\n| noise of a night | step | confirmed within 3 nights | 5 | 10 |")
    print("|---|---|---|---|---|")
    for noise in NOISES:
        for step in STEPS:
            shares = " | ".join(f"{100 * share:.0f} %" for share in confirmed(series, noise, step, seed=2))
            print(f"| {100 * noise:g} % | {100 * step:.0f} % | {shares} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
