"""`bench selftest`: the tool held against what is known beforehand."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.core.folders import RUNS


def selftest(
    fault: Annotated[
        list[str] | None, typer.Option(help="Only these faults, comma lists allowed. Default: all.")
    ] = None,
    aa: Annotated[
        int | None,
        typer.Option("--aa", min=1, help="Make at least so many A/A comparisons: each backend against itself."),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(help="With --aa: these backends, comma lists allowed. Default: all available."),
    ] = None,
    background_load: Annotated[
        bool,
        typer.Option(
            "--background-load", help="With --aa: beside a process that spins on one measured CPU, on and off."
        ),
    ] = False,
    turns: Annotated[
        str | None,
        typer.Option(metavar="on|off", help="With --aa: whether the launches of a round take turns. Default: on."),
    ] = None,
    suite: Annotated[str, typer.Option(help="With --aa: the suite whose configurations are measured.")] = "llm",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of every backend. Default: all cores.")] = None,
    cpus: Annotated[str | None, typer.Option(help="CPUs to measure on. Default: the first --threads.")] = None,
    window: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Seconds of timed calls per case and launch. Default: 0.4; with --aa 0.5.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the first run; each further run takes the next.")] = 0,
    output: Annotated[Path, typer.Option(help="Where runs are stored, below selftest/.")] = RUNS,
    dry_run: Annotated[bool, typer.Option(help="Print what would be measured, and how long it takes.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Hold the tool against what is known beforehand.

    Without --aa, backends that are wrong on purpose are run beside one that is right: exit code 0 if every fault
    was caught, else 1.

    With --aa, identical programs are compared as if they were two backends: every `faster` or `slower` is wrong.
    Exit code 0; 130 if interrupted: the same command goes on.
    """
    from steelyard.core.backend import split_backends
    from steelyard.core.errors import UsageError, unknown_name

    if turns not in (None, "on", "off"):
        raise unknown_name("turns", turns, ("on", "off"))
    if turns is not None and aa is None:
        raise UsageError("--turns goes with --aa N")
    if aa is None:
        if backend or background_load or threads is not None:
            raise UsageError("--backend, --background-load and --threads go with --aa N: the faults are one thread's")
        from steelyard.cli.faults import run_faults

        names = tuple(part for value in fault or [] for part in split_backends(value))
        sys.exit(run_faults(names, output=output, cpus=cpus, seed=seed, window_s=window, dry_run=dry_run, json=json))
    if fault:
        raise UsageError("--fault and --aa are two tests: give one of them")
    from steelyard.cli.aa_campaign import run_aa_campaign
    from steelyard.selftest.campaign import WINDOW_S

    sys.exit(
        run_aa_campaign(
            aa,
            suite=suite,
            backends=tuple(part for value in backend or [] for part in split_backends(value)),
            output=output,
            threads=threads,
            cpus=cpus,
            seed=seed,
            window_s=WINDOW_S if window is None else window,
            beside=background_load,
            turns=turns != "off",
            dry_run=dry_run,
            json=json,
        )
    )
