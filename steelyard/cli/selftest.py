"""`bench selftest`: the tool held against what is known beforehand."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.output import RUNS


def selftest(
    aa: Annotated[
        int | None,
        typer.Option("--aa", min=1, help="Make at least so many sham comparisons: each backend against itself."),
    ] = None,
    backend: Annotated[
        list[str] | None, typer.Option(help="With --aa: these backends, comma lists allowed. Default: all available.")
    ] = None,
    neighbour: Annotated[
        bool, typer.Option("--neighbour", help="With --aa: beside a process that spins on one measured CPU.")
    ] = False,
    suite: Annotated[str, typer.Option(help="With --aa: the suite whose points are measured.")] = "llm",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of every backend. Default: all cores.")] = None,
    cpus: Annotated[str | None, typer.Option(help="CPUs to measure on. Default: the first --threads.")] = None,
    window: Annotated[float, typer.Option(min=0.01, help="Seconds of timed calls per case and launch.")] = 0.15,
    seed: Annotated[int, typer.Option(help="Seed of the first run; each further run takes the next.")] = 0,
    output: Annotated[Path, typer.Option(help="Where runs are stored, below selftest/.")] = RUNS,
    dry_run: Annotated[bool, typer.Option(help="Print what would be measured, and how long it takes.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Hold the tool against what is known beforehand.

    With --aa, identical programs are compared as if they were two backends: every `faster` or `slower` is wrong.
    Exit code 0; 130 if interrupted: the same command goes on.
    """
    from steelyard.core.backend import split_backends
    from steelyard.core.errors import UsageError

    if aa is None:
        raise UsageError("say what to test: --aa N makes N sham comparisons")
    from steelyard.cli.shams import run_shams

    sys.exit(
        run_shams(
            aa,
            suite=suite,
            backends=tuple(part for value in backend or [] for part in split_backends(value)),
            output=output,
            threads=threads,
            cpus=cpus,
            seed=seed,
            window_s=window,
            beside=neighbour,
            dry_run=dry_run,
            json=json,
        )
    )
