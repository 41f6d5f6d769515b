"""`bench repro`: one case as a folder with a script that needs its runtime alone."""

from pathlib import Path
from typing import Annotated

import typer

from steelyard.core.folders import RUNS


def repro(
    case: Annotated[str, typer.Argument(help="A case: its id or the beginning of it, or WORKLOAD/AXIS=VALUE.")],
    backend: Annotated[str, typer.Option(metavar="NAME", help="The backend, where CASE is not the id of one.")] = "",
    run: Annotated[str, typer.Option(help="The run: its path, id, the beginning or end of its id.")] = "latest",
    output: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A new folder. Default: repro-WORKLOAD-BACKEND here.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="The checkpoint directory or the model's file, where the run used one.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Use a suite or runner that is code of its own, if installed here.")
    ] = False,
    runs: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
) -> None:
    """Write a case as one script with its files: it imports its runtime and numpy, checks the outputs and times calls.

    For a report to those who write the runtime. What is no longer in the cache is lowered again.
    """
    from steelyard.cli.output import printable
    from steelyard.service.reproducing import write_repro
    from steelyard.store import find_run, open_run
    from steelyard.tables.format import counted, size

    def say(line: str) -> None:
        typer.echo(printable(line), err=True)

    folder = write_repro(
        open_run(find_run(runs, run)), case, output, say, backend=backend, weights=weights, trust=trust
    )
    files = list(folder.iterdir())
    say(f"{counted(len(files), 'file')}, {size(sum(path.stat().st_size for path in files))}")
    typer.echo(str(folder))
