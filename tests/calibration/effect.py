"""The stage `effect`: a slowdown as large as the planner says can be found, put into a real backend.

A *trial* is three ordinary runs on one CPU, one thread. The pilot is the backend against itself for three rounds;
what `bench run` prints after them (the largest minimum detectable effect of its primary comparisons)
is written down before anything else is measured, and nothing of the pilot is used again. As for any user's run, the
noise of earlier runs in the same folder counts in it: those of the trials before. Then a run of as many
rounds as that number is for, with the backend slowed down by exactly that fraction, and one with a third of it. Each
trial has a pilot of its own, so that what is counted is the promise as a user meets it, pilots that saw too little
of the noise included.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from steelyard.core.turn_rule import ONE_AFTER_THE_OTHER
from tests.calibration.rates import percent, rate, table

FILE = "effect.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One comparison of a run: its verdict, and by which fraction the candidate really was slower."""

    candidate: str
    workload: str
    verdict: str
    slower_by: float
    ratio: float | None
    wrong: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run with a slowdown. `promised` is what its pilot printed, `by` what was put in: that, or a third of it.

    `verdict` is that of the slowed backend at the headline; `elsewhere` are all other comparisons. `spread` is the
    standard deviation of the headline's log ratios between rounds.
    """

    number: int
    promised: float
    by: float
    rounds: int
    spread: float | None
    verdict: str
    ratio: float | None
    grade: str
    elsewhere: tuple[Compared, ...]

    @property
    def found(self) -> bool:
        """Whether it was called slower."""
        return self.verdict == "slower"


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """One backend: trials with the slowdown that was promised, and with a third of it."""

    backend: str
    workloads: tuple[str, ...]
    full: tuple[Trial, ...]
    third: tuple[Trial, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The content of effect.json. `setting` are the size and the axes of the workloads, `unpromised` the trials whose
    pilot promised nothing."""

    machine: str
    created_utc: str
    window_s: float
    setting: str
    rows: tuple[Injected, ...]
    unpromised: tuple[int, ...] = ()
    protocol: str = ONE_AFTER_THE_OTHER
    notes: tuple[str, ...] = ()


def wrong(verdict: str, slower_by: float, margin: float) -> bool:
    """Whether a verdict is false where the candidate really is slower by this fraction.

    `slower` claims more than the margin, `equivalent` less than it, `faster` is false for whatever is not faster.
    """
    return {
        "faster": slower_by >= 0,
        "slower": slower_by <= margin,
        "equivalent": slower_by >= margin,
    }.get(verdict, False)


def section(data: Found) -> list[str]:
    """The Markdown lines; without a heading."""
    lines = [
        f"On one CPU with one thread, {data.setting}, windows of {data.window_s:g} s, launches {data.protocol}; "
        f"{data.machine}, {data.created_utc[:10]}. Each trial has a pilot of three rounds of the backend against "
        "itself. The minimum detectable effect that `bench run` then prints, a slowdown that 9 of 10 runs find, with "
        "the noise of the trials before, is put into the backend, in a process of its own, and a run of so many rounds "
        "is judged as any other; a further run has a third of the slowdown. *Wrong*: verdicts that the truth "
        "contradicts, among all other comparisons of these runs (another workload, the backend against itself, the "
        "control arm) and, with a third, of the slowed backend as well: `slower` claims more than 2 %."
        + _unpromised(data),
        "",
        *(line for note in data.notes for line in (note, "")),
    ]
    for row in data.rows:
        trials = (*row.full, *row.third)
        spreads = [trial.spread for trial in trials if trial.spread is not None]
        lines += table(
            ("backend", "workloads", "rounds", "spread between rounds [%]", "promised [%]", "found", "wrong", "of"),
            [
                _counts(row, "as promised", row.full, spreads),
                _counts(row, "a third of it", row.third, spreads),
            ],
            numeric_from=2,
        )
        lines += table(
            ("trial", "promised [%]", "ratio", "verdict", "ratio at a third", "verdict at a third", "grades"),
            [_pair(row, number) for number in sorted({trial.number for trial in trials})],
        )
    return lines


def _unpromised(data: Found) -> str:
    count = len(data.unpromised)
    if not count:
        return ""
    return f" {count} more {'pilot' if count == 1 else 'pilots'} promised nothing: a side had no steady launch."


def _counts(row: Injected, what: str, trials: Sequence[Trial], spreads: Sequence[float]) -> tuple[str, ...]:
    elsewhere = [item for trial in trials for item in trial.elsewhere]
    headline = [wrong(trial.verdict, trial.by, 0.02) for trial in trials] if what != "as promised" else []
    mistakes = sum(item.wrong for item in elsewhere) + sum(headline)
    return (
        f"{row.backend}, {what}",
        ", ".join(row.workloads),
        _range([trial.rounds for trial in trials]),
        "" if not spreads else f"{percent(median(spreads))} ({percent(min(spreads))} to {percent(max(spreads))})",
        "" if not trials else _promised(trials),
        f"{sum(trial.found for trial in trials)} of {len(trials)}: "
        f"{rate(sum(trial.found for trial in trials), len(trials))}",
        str(mistakes),
        str(len(elsewhere) + len(headline)),
    )


def _promised(trials: Sequence[Trial]) -> str:
    values = [trial.by for trial in trials]
    return f"{percent(median(values))} ({percent(min(values))} to {percent(max(values))})"


def _range(values: Sequence[int]) -> str:
    if not values:
        return ""
    return str(min(values)) if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _pair(row: Injected, number: int) -> tuple[str, ...]:
    full, third = (
        next((trial for trial in trials if trial.number == number), None) for trials in (row.full, row.third)
    )
    first = full or third
    return (
        str(number),
        "" if first is None else percent(first.promised),
        *_judged(full),
        *_judged(third),
        ", ".join(trial.grade for trial in (full, third) if trial is not None),
    )


def _judged(trial: Trial | None) -> tuple[str, str]:
    if trial is None:
        return ("", "")
    return ("" if trial.ratio is None else f"{trial.ratio:.3f}", trial.verdict)
