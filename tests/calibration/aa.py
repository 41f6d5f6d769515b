"""The stages `aa` and `aa-apart`: A/A comparisons of real backends on this machine, quiet and beside a load that
switches on and off, with launches that take turns and with such that run one after the other."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from steelyard import wire
from steelyard.core.aa_counts import AaCounts, AaRow, Condition
from steelyard.core.errors import SteelyardError
from steelyard.core.turn_rule import ONE_AFTER_THE_OTHER
from steelyard.selftest.background_load import LONGEST_S, SHORTEST_S
from steelyard.selftest.campaign import folder_of
from steelyard.tables.aa_words import UNKNOWN, rate, reach
from tests.calibration import files
from tests.calibration.rates import table

_LOAD = f"a background load on one core, on and off for {SHORTEST_S:g} to {LONGEST_S:g} s each"
CONDITIONS: Mapping[Condition, str] = {"quiet": "nothing else started", "switching": _LOAD}
STAGES: Mapping[str, Mapping[str, str]] = {
    "aa": {f"{folder_of(name, turns=True)}.json": f"{words}, in turns" for name, words in CONDITIONS.items()},
    "aa-apart": {
        **{
            f"{folder_of(name, turns=False)}.json": f"{words}, {ONE_AFTER_THE_OTHER}"
            for name, words in CONDITIONS.items()
        },
        # Not measured any more: beside a background load that never rests the noise guard withholds every verdict.
        "aa-neighbour.json": f"a background load on one core that never rests, {ONE_AFTER_THE_OTHER}",
    },
}
"""The files of each stage with what was the case, in words."""
COMPARISONS = 200
_RUNS = Path("bench-results")


def _measure(folder: Path, *, turns: bool) -> None:
    """Measure both conditions, each from where it stopped, and write their counts. Raises SteelyardError if
    interrupted."""
    for condition in CONDITIONS:
        where = folder_of(condition, turns=turns)
        command = [sys.executable, "-m", "steelyard", "selftest", "--aa", str(COMPARISONS), "--output", str(_RUNS)]
        more = ["--turns", "on" if turns else "off", *(["--background-load"] if condition == "switching" else [])]
        done = subprocess.run([*command, *more], check=False)
        if done.returncode:
            raise SteelyardError(f"the A/A comparisons ended with {done.returncode}; the same command goes on")
        files.write(folder / f"{where}.json", wire.read(_RUNS / "selftest" / where / "shams.json", AaCounts))


run = partial(_measure, turns=True)
run_apart = partial(_measure, turns=False)


def protocols(found: Sequence[AaCounts]) -> list[str]:
    """Both protocols beside each other, of the conditions that were measured with both."""
    both = [
        data
        for condition in CONDITIONS
        for data in sorted((each for each in found if each.condition == condition), key=_protocol)
        if len({_protocol(each) for each in found if each.condition == condition}) > 1
    ]
    if not both:
        return []
    return [
        "## Equal programs by both protocols",
        "",
        "The counts of all backends together, from above. *Wall*: from the first launch to the last of each run, cold "
        "rounds included, without lowering.",
        "",
        *table(
            (
                "launches",
                "beside",
                "comparisons",
                "false alarms, guard on",
                "false alarms, guard off",
                "misses 1",
                "withheld",
                "detectable",
                "wall [min]",
            ),
            [
                (
                    _protocol(data),
                    CONDITIONS[data.condition],
                    str(data.all.comparisons),
                    *(rate(data.all.rates[key]) for key in ("guarded_false_alarms", "false_alarms", "missed")),
                    rate(data.all.rates["withheld"]),
                    reach(data.all),
                    UNKNOWN if data.wall_s is None else f"{data.wall_s / 60:.0f}",
                )
                for data in both
            ],
            numeric_from=2,
        ),
    ]


def _protocol(data: AaCounts) -> str:
    """How the launches ran. Counts that do not say it are from before there were turns."""
    return data.protocol or ONE_AFTER_THE_OTHER


def section(data: AaCounts) -> list[str]:
    """The Markdown lines of one condition; without a heading."""
    names = ("false_alarms", "withheld", "guarded_false_alarms", "alarmed_runs", "alone", "missed")

    def row(name: str, counts: AaRow) -> tuple[str, ...]:
        decided = (reach(counts), str(counts.inconclusive), str(counts.equivalent))
        return (name, str(counts.runs), str(counts.comparisons), *(rate(counts.rates[key]) for key in names), *decided)

    grades = ", ".join(f"{count} {grade}" for grade, count in data.grades.items())
    effects = {name: data.all.rates[name].design_effect for name in names}
    known = ", ".join(f"{name.replace('_', ' ')} {value:.1f}" for name, value in effects.items() if value is not None)
    return [
        f"Both sides are the same backend, launches {_protocol(data)}. {data.machine}, {data.threads} threads, at "
        f"least {data.rounds} rounds a run, windows of {data.window_s:g} s, {data.created_utc[:10]}; noise grades of "
        f"the runs' segments: {grades}. Comparisons of one run share its noise: their intervals are widened by the "
        f"design effect of the runs ({known or 'not to be seen in these counts'}). *Alone*: had each comparison been "
        "the only one of its family, guard off. *Misses 1*: the plain 95 % interval does. *Detectable* [%]: the "
        "difference that half of the comparisons would have called alone, guard off. *Inconclusive*, *equivalent*: "
        "so many, guard on; where intervals are wider than 2 %, nothing can be called equivalent.",
        "",
        *(line for note in data.notes for line in (note, "")),
        *table(
            (
                "backend",
                "runs",
                "comparisons",
                "false alarms, guard off",
                "withheld, guard on",
                "false alarms, guard on",
                "runs with one",
                "alone",
                "misses 1",
                "detectable",
                "inconclusive",
                "equivalent",
            ),
            [*(row(counts.backend, counts) for counts in data.rows), row("**all**", data.all)],
        ),
    ]
