"""How often a history is wrong, and how soon it sees a step: made-up nights, looked at every night as a job would.

python -m tests.history.simulate [SERIES]   # prints the table of docs/history.md; 100 take some minutes

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


@dataclass(frozen=True, slots=True)
class Row:
    """In 1,000 nights without a step: changes told, runs that repeat them, alarms. Of steps the share that is confirmed
    within 3, 5 and 10 nights."""

    told: float
    repeated: float
    alarms: float
    confirmed: tuple[float, float, float]


def row(series: int, noise: float, step: float, seed: int) -> Row:
    """Both kinds of histories at one noise."""
    random = np.random.default_rng(seed)
    told_, repeated, alarms = 0, 0, 0
    for _ in range(series):
        seen = [s for s in watched(np.exp(noise * random.standard_normal(NIGHTS))) if s.change.word == "slower"]
        runs = [sighting for sighting in seen if sighting.change.versions]
        told_ += len(once([sighting for sighting in seen if sighting.change.matters]))
        repeated += len(runs)
        alarms += len(once([sighting for sighting in runs if random.random() < confirmed_share(0.0)]))
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
    per_1000 = 1000 / (series * NIGHTS)
    three, five, ten = (sum(nights <= limit for nights in after) / series for limit in (3, 5, 10))
    return Row(told_ * per_1000, repeated * per_1000, alarms * per_1000, (three, five, ten))


def main(series: int) -> None:
    """Print the table."""
    columns = ("noise of a night", "told in 1,000 nights", "measured again", "alarms", "step")
    print(f"| {' | '.join(columns)} | confirmed within 3 nights | 5 | 10 |")
    print("|---|---|---|---|---|---|---|---|")
    for noise in (0.005, 0.01, 0.02):
        for step in STEPS:
            found = row(series, noise, step, seed=1)
            shares = " | ".join(f"{100 * share:.0f} %" for share in found.confirmed)
            rates = f"{found.told:.2f} | {found.repeated:.2f} | {found.alarms:.2f}"
            print(f"| {100 * noise:g} % | {rates} | {100 * step:.0f} % | {shares} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
