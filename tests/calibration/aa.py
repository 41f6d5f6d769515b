"""The stage `aa`: sham comparisons of real backends on this machine, quiet and with a neighbour on one core."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from steelyard import wire
from steelyard.core.errors import SteelyardError
from steelyard.core.shams import ShamRow, Shams
from steelyard.tables.shams import rate, reach
from tests.calibration import files
from tests.calibration.rates import table

FILES: Mapping[str, str] = {
    "aa-quiet.json": "nothing else started",
    "aa-neighbour.json": "a neighbour on one core",
}
COMPARISONS = 200
_RUNS = Path("bench-results")


def run(folder: Path) -> None:
    """Measure both campaigns, each from where it stopped, and write their counts. Raises SteelyardError if
    interrupted."""
    for name in FILES:
        condition = name.removeprefix("aa-").removesuffix(".json")
        command = [sys.executable, "-m", "steelyard", "selftest", "--aa", str(COMPARISONS), "--output", str(_RUNS)]
        more = ["--neighbour"] if condition == "neighbour" else []
        done = subprocess.run([*command, *more], check=False)
        if done.returncode:
            raise SteelyardError(f"the sham comparisons ended with {done.returncode}; the same command goes on")
        files.write(folder / name, wire.read(_RUNS / "selftest" / f"aa-{condition}" / "shams.json", Shams))


def section(data: Shams) -> list[str]:
    """The Markdown lines of one condition; without a heading."""
    names = ("false_alarms", "withheld", "guarded_false_alarms", "alarmed_runs", "alone", "missed")

    def row(name: str, counts: ShamRow) -> tuple[str, ...]:
        decided = (reach(counts), str(counts.inconclusive), str(counts.equivalent))
        return (name, str(counts.runs), str(counts.comparisons), *(rate(counts.rates[key]) for key in names), *decided)

    grades = ", ".join(f"{count} {grade}" for grade, count in data.grades.items())
    effects = {name: data.all.rates[name].design_effect for name in names}
    known = ", ".join(f"{name.replace('_', ' ')} {value:.1f}" for name, value in effects.items() if value is not None)
    return [
        f"Both sides are the same backend. {data.machine}, {data.threads} threads, at least {data.rounds} rounds a "
        f"run, windows of {data.window_s:g} s, {data.created_utc[:10]}; noise grades of the runs' segments: {grades}. "
        "Comparisons of one run share its noise: their intervals are widened by the design effect of the runs "
        f"({known or 'not to be seen in these counts'}). *Alone*: had each comparison been the only one of its "
        "family, guard off. *Misses 1*: the plain 95 % interval does. *Detectable* [%]: the difference that half of "
        "the comparisons would have called alone, guard off. *Inconclusive*, *equivalent*: so many, guard on; where "
        "intervals are wider than 2 %, nothing can be called equivalent.",
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
