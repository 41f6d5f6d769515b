"""`bench history`: runs of the same cases night after night, and where they became slower."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.core.folders import RUNS

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)
_File = Annotated[Path | None, typer.Option(metavar="FILE", help="The history. Default: history.jsonl among the runs.")]
_Runs = Annotated[Path, typer.Option(help="Where runs are stored.")]


@app.command("add")
def add(
    run: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Runs. Default: all that there are.")
    ] = None,
    runs: _Runs = RUNS,
    file: _File = None,
) -> None:
    """Add runs to the history: one line for each case. A run that it holds already is not added twice."""
    from steelyard.history import record
    from steelyard.history.nights import nights_of
    from steelyard.store import find_run, open_run, runs_once
    from steelyard.tables.format import counted

    target = file or runs / record.NAME
    folders = [find_run(runs, name) for name in run] if run else runs_once(runs)
    added, left_out = 0, []
    for folder in folders:
        stored = open_run(folder)
        if not stored.segments or stored.segments[-1].ended == "interrupted":
            left_out.append(stored.manifest.run_id)
            continue
        added += record.append(target, nights_of(stored))
    typer.echo(f"{target}: {counted(added, 'line')} added of {counted(len(folders) - len(left_out), 'run')}")
    for run_id in left_out:
        typer.echo(f"left out: {run_id} was interrupted; bench run --resume {run_id} goes on", err=True)


@app.command("show")
def show(
    backend: Annotated[list[str] | None, typer.Option(help="Only these backends.")] = None,
    workload: Annotated[str, typer.Option(metavar="TEXT", help="Only configurations with this text.")] = "",
    recent: Annotated[int, typer.Option(min=1, help="For --fail-on: how many last nights of a series.")] = 7,
    fail_on: Annotated[str, typer.Option(metavar="slower", help="Exit with 1 where a series became slower.")] = "",
    runs: _Runs = RUNS,
    file: _File = None,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """The level of every series, and how it came to it: which run, by how much, which versions changed."""
    from steelyard.cli.output import print_json, printable
    from steelyard.cli.tables import print_report_table
    from steelyard.core.errors import UsageError
    from steelyard.history import record
    from steelyard.history.changes import told
    from steelyard.history.table import history_table, sentences

    if fail_on not in ("", "slower"):
        raise UsageError(f"--fail-on {fail_on}: a history fails on slower alone")
    target = file or runs / record.NAME
    if not target.exists():
        raise UsageError(f"{target}: there is no history here; bench history add makes one of the stored runs")
    nights = record.read(target)
    series = [
        each for each in told(nights) if (not backend or each.series.arm in backend) and workload in each.series.title
    ]
    if not series:
        chosen = " ".join(
            [*(f"--backend {name}" for name in backend or ()), *([f"--workload {workload}"] * bool(workload))]
        )
        arms = ", ".join(sorted({night.series.arm for night in nights})) or "none"
        raise UsageError(f"{target}: no series for {chosen or 'it'}; its backends are {arms}")
    table = history_table(series)
    if json:
        print_json("history", {"tables": [table]})
    else:
        print_report_table(table)
        for sentence in sentences(series):
            typer.echo(printable(sentence))
    slower = any(
        change.matters and change.word == "slower" and change.after.since.run in each.newest(recent)
        for each in series
        for change in each.changes
    )
    if fail_on and slower:
        sys.exit(1)
