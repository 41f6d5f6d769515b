"""How often a history is wrong, and how soon it sees a step: made-up nights, looked at every night as a job would.

python -m tests.history.simulate [SERIES]     # prints the table of docs/history.md; 400 series take some minutes
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.history.changes import ENOUGH, told
from tests.history.nights import nights

NIGHTS, BEFORE = 100, 60
STEPS = (0.03, 0.05, 0.10)
_NEAR = 3
"""A change is the same one if it moves by no more nights as others are added."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """When a change was first told, since when, and as what."""

    night: int
    since: int
    word: str


def watched(values: NDArray[np.float64], first: int = ENOUGH) -> list[Alarm]:
    """Every alarm of a series that is looked at after each night from the `first` on."""
    alarms: list[Alarm] = []
    every = nights(values)
    for end in range(first, len(values) + 1):
        for change in next(iter(told(every[:end]))).changes:
            since = int(change.after.since.run[1:])
            if change.matters and not any(abs(alarm.since - since) <= _NEAR for alarm in alarms):
                alarms.append(Alarm(end, since, change.word))
    return alarms


def flat(series: int, noise: float, seed: int) -> float:
    """False alarms in a thousand nights of series whose level never moves."""
    random = np.random.default_rng(seed)
    every = [watched(np.exp(noise * random.standard_normal(NIGHTS))) for _ in range(series)]
    return 1000 * sum(map(len, every)) / (series * NIGHTS)


def found(series: int, noise: float, step: float, seed: int) -> Mapping[int, float]:
    """The share of steps that are told as slower within 3, 5 and 10 nights, where they are to within two nights."""
    random = np.random.default_rng(seed)
    after = []
    for _ in range(series):
        values = noise * random.standard_normal(BEFORE + 10)
        values[BEFORE:] += np.log1p(step)
        right = [
            alarm.night - BEFORE
            for alarm in watched(np.exp(values), first=BEFORE)
            if abs(alarm.since - BEFORE) <= 2 and alarm.word == "slower"
        ]
        after.append(min(right, default=NIGHTS))
    return {limit: sum(nights <= limit for nights in after) / series for limit in (3, 5, 10)}


def main(series: int) -> None:
    """Print the table."""
    print("| noise of a night | false alarms in 1,000 nights | step | told within 3 nights | 5 | 10 |")
    print("|---|---|---|---|---|---|")
    for noise in (0.005, 0.01, 0.02):
        wrong = f"{flat(series, noise, seed=1):.2f}"
        for step in STEPS:
            shares = found(series, noise, step, seed=2)
            told_ = " | ".join(f"{100 * share:.0f} %" for share in shares.values())
            print(f"| {100 * noise:g} % | {wrong} | {100 * step:.0f} % | {told_} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
