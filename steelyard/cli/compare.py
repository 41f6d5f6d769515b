"""`bench compare`: stored runs held against each other, and an exit code for CI."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steelyard.cli.output import RUNS, print_json, print_table, printable

if TYPE_CHECKING:
    from steelyard.core.comparison import Comparison
    from steelyard.core.run import Run

_SLOWER, _INCONCLUSIVE = 1, 4
_CODES = {"slower": _SLOWER, "inconclusive": _INCONCLUSIVE}
# None of these answers the question whether it got slower.
_NO_ANSWER = ("inconclusive", "withheld", "incomparable")


def compare(
    sides: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Runs by path, id, part of an id, or 'latest'; several of one side as a comma list. The first side "
            "is the baseline. One run alone: its backends against each other.",
        ),
    ],
    fail_on: Annotated[
        str | None, typer.Option(help="slower, inconclusive, or both as a comma list: exit with 1 or 4.")
    ] = None,
    factor: Annotated[
        str | None, typer.Option(help="What is compared across runs, if they differ in several things or in none.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of a table.")] = False,
) -> None:
    """Compare stored runs. Across runs, faster and slower need at least 3 runs on each side."""
    from steelyard.core.errors import unknown_name

    wanted = [word.strip() for word in (fail_on or "").split(",") if word.strip()]
    for word in wanted:
        if word not in _CODES:
            raise unknown_name("verdict for --fail-on", word, _CODES)
    loaded = [_load(runs, side) for side in sides]
    found = comparisons(loaded, factor)
    if json:
        ids = [[run.manifest.run_id for run in side] for side in loaded]
        print_json("comparison", {"sides": ids, "comparisons": found})
    else:
        _print(found)
    sys.exit(exit_code(found, wanted))


def comparisons(sides: Sequence[Sequence["Run"]], factor: str | None = None) -> tuple["Comparison", ...]:
    """Within the run if there is one alone, otherwise each further side against the first."""
    from steelyard.compare import compare_run, compare_runs

    if len(sides) == 1 and len(sides[0]) == 1:
        return compare_run(sides[0][0])
    if len(sides) == 1:
        from steelyard.core.errors import UsageError

        raise UsageError("bench compare: several runs of one side need another side to be compared with")
    return tuple(entry for side in sides[1:] for entry in compare_runs(sides[0], side, factor))


def exit_code(found: Sequence["Comparison"], wanted: Sequence[str]) -> int:
    """0, or what `--fail-on` asks for: 1 if anything is slower, 4 if anything is undecided or nothing was compared.

    The control arm's own comparison says how noisy the machine is, not that something got slower.
    """
    verdicts = [entry.verdict for entry in found if entry.factor != "control"]
    if "slower" in wanted and "slower" in verdicts:
        return _SLOWER
    if "inconclusive" in wanted and (not verdicts or any(verdict in _NO_ANSWER for verdict in verdicts)):
        return _INCONCLUSIVE
    return 0


def _load(root: Path, side: str) -> list["Run"]:
    from steelyard.core.errors import UsageError
    from steelyard.store import find_run, open_run

    names = [name.strip() for name in side.split(",") if name.strip()]
    if not names:
        raise UsageError("bench compare: a side without a run")
    return [open_run(find_run(root, name)) for name in names]


def _print(found: Sequence["Comparison"]) -> None:
    from steelyard.cli.show import with_interval

    if not found:
        typer.echo("nothing to compare: the sides have no point and metric in common")
        return
    groups: dict[str, list[Comparison]] = {}
    for entry in found:
        groups.setdefault(f"{entry.title}, {entry.metric.removesuffix('_s')}, {entry.scope}", []).append(entry)
    for title, entries in groups.items():
        rows = [
            (entry.candidate, entry.baseline, with_interval(entry.ratio), entry.verdict, entry.family)
            for entry in entries
        ]
        print_table(title, ("candidate", "baseline", "ratio", "verdict", "family"), rows, ("ratio",))
        for entry in entries:
            if entry.reason and entry.verdict in _NO_ANSWER:
                typer.echo(printable(f"  {entry.candidate}: {entry.verdict}: {entry.reason}"))
        typer.echo("")
