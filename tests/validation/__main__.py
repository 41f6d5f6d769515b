"""`python -m tests.validation`: measure what is missing, print and store the rows. Interrupted, it goes on."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.interruption import ended_only_when_asked
from steelyard.core.backend import split_backends
from steelyard.core.errors import SteelyardError
from steelyard.core.folders import RUNS
from tests.validation.vendor import ROUNDS, WINDOW_S, run_vendor


def agreement(
    backend: Annotated[
        list[str] | None, typer.Option(help="These backends, comma lists allowed. Default: all available.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of every backend. Default: all cores.")] = None,
    cpus: Annotated[str | None, typer.Option(help="CPUs to measure on. Default: the first --threads.")] = None,
    window: Annotated[float, typer.Option(min=0.01, help="Seconds of timed calls per case and launch.")] = WINDOW_S,
    rounds: Annotated[int, typer.Option(min=1, help="At most so many rounds after the cold one.")] = ROUNDS,
    seed: Annotated[int, typer.Option(help="Seed of the orders.")] = 0,
    output: Annotated[Path, typer.Option(help="Where runs are stored, below selftest/.")] = RUNS,
    dry_run: Annotated[bool, typer.Option(help="Print what would be measured, and how long it takes.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Hold each backend's number against that of a tool of its vendor, or of a bare loop, on the same artifact; then
    our path against each runtime's native one. Exit code 0; 130 if interrupted."""
    names = tuple(part for value in backend or [] for part in split_backends(value))
    try:
        with ended_only_when_asked():
            code = run_vendor(
                names,
                output=output,
                threads=threads,
                cpus=cpus,
                seed=seed,
                window_s=window,
                rounds=rounds,
                dry_run=dry_run,
                json=json,
            )
    except SteelyardError as error:
        typer.echo(f"agreement: {error}", err=True)
        code = error.exit_code
    sys.exit(code)


app = typer.Typer(rich_markup_mode=None, add_completion=False)
app.command()(agreement)

if __name__ == "__main__":
    app()
