"""`bench run`: plan, lower, measure in rounds, store, report."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.core.folders import RUNS

SUITE = "llm"
_WHAT = "What is measured"
_WITH = "On what"
_HOW = "How long, in which order"
_LIMITS = "Limits"
_ENERGY = "Energy"
_STORED = "What is kept and shown"


def run(
    context: typer.Context,
    suite: Annotated[str, typer.Option(help="The suite to run.", rich_help_panel=_WHAT)] = SUITE,
    size: Annotated[
        str | None, typer.Option(help="Model size: tiny, small or full. Default: by device.", rich_help_panel=_WHAT)
    ] = None,
    workload: Annotated[
        list[str] | None, typer.Option(help="Only these workloads (comma lists allowed).", rich_help_panel=_WHAT)
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Leave these workloads out.", rich_help_panel=_WHAT)] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Values of an axis, e.g. --set batch=1,8 --set model=all.", rich_help_panel=_WHAT),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Measure a model of your own: a file, or package.module:function.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=1x3x224x224",
            help="With --model: the extents of an input that the file leaves open.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.npz", help="With --model: arrays of its inputs instead of random ones.", rich_help_panel=_WHAT
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="A local checkpoint directory (safetensors) to use.", rich_help_panel=_WHAT)
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            help="Backends, comma lists allowed: NAME[:PROVIDER][opt=value,...], module.path:Class, or all.",
            rich_help_panel=_WITH,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="The device, e.g. cpu or cuda:0. Default: the best present.", rich_help_panel=_WITH),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="The backend that all others are compared with. Default: eager, or the first of a ladder.",
            rich_help_panel=_WITH,
        ),
    ] = None,
    ladder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUNGS",
            help="Backends in an order whose increments are shown, one that has such an order, e.g. onnxruntime, or "
            "values of an axis, e.g. batch=1,2,4.",
            rich_help_panel=_WITH,
        ),
    ] = None,
    tuning: Annotated[
        str, typer.Option(help="default or max: which of each runner's option tables.", rich_help_panel=_WITH)
    ] = "default",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of every backend. Default: all cores.", rich_help_panel=_WITH)
    ] = None,
    cpus: Annotated[
        str | None,
        typer.Option(help="CPUs to measure on, e.g. 0-3,8. Default: the first --threads.", rich_help_panel=_WITH),
    ] = None,
    scenario: Annotated[
        str, typer.Option(help="single-stream, cold-start or correctness.", rich_help_panel=_HOW)
    ] = "single-stream",
    time: Annotated[
        str | None,
        typer.Option(
            help="Stop before this much time has passed, e.g. 90s, 20m, 2h; up to a fifth later where verdicts would "
            "be missed otherwise.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="At most so many rounds after the cold one.", rich_help_panel=_HOW)
    ] = None,
    quick: Annotated[
        bool, typer.Option(help="3 rounds, or --rounds, of short windows: numbers, no verdicts.", rich_help_panel=_HOW)
    ] = False,
    window: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Seconds of timed calls per case and launch. Default: 2, with --quick 0.25.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    latency_bound: Annotated[
        str | None,
        typer.Option(
            metavar="LATENCY",
            help="Look for the most throughput of calls within this latency, e.g. 50ms.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    turns: Annotated[
        str,
        typer.Option(
            metavar="on|off",
            help="Whether the launches of a round take turns, alive together. off: one after the other.",
            rich_help_panel=_HOW,
        ),
    ] = "on",
    seed: Annotated[int, typer.Option(help="Seed of the orders and of the checked calls.", rich_help_panel=_HOW)] = 0,
    l2: Annotated[
        str | None,
        typer.Option(
            help="On an accelerator: hot or cold, its L2 cache when a call begins. Default: hot.", rich_help_panel=_HOW
        ),
    ] = None,
    timeout: Annotated[
        list[str] | None,
        typer.Option(help="Seconds a stage may last, e.g. --timeout compile=1800.", rich_help_panel=_HOW),
    ] = None,
    memory_cap: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="The most memory that a case may have, e.g. 2GiB.", rich_help_panel=_LIMITS),
    ] = None,
    largest: Annotated[
        str | None,
        typer.Option(
            metavar="QUANTITY", help="Search the largest batch, or context, that completes.", rich_help_panel=_LIMITS
        ),
    ] = None,
    attempts: Annotated[
        int | None,
        typer.Option(
            min=1, help="With --largest: at most so many attempts of a backend. Default: 24.", rich_help_panel=_LIMITS
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="REL",
            help="Relative error that passes as an approximation, marked as one, e.g. 1e-3.",
            rich_help_panel=_LIMITS,
        ),
    ] = None,
    allow_foreign_processes: Annotated[
        bool,
        typer.Option(
            "--allow-foreign-processes", help="Measure although others compute on the device.", rich_help_panel=_LIMITS
        ),
    ] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="Wait while another run measures on the same CPUs or device.", rich_help_panel=_LIMITS
        ),
    ] = False,
    energy: Annotated[
        bool,
        typer.Option(
            "--energy/--no-energy",
            help="Meter energy after each timed window, where there is a meter.",
            rich_help_panel=_ENERGY,
        ),
    ] = True,
    meter: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The CSV log of an external power meter, growing meanwhile.", rich_help_panel=_ENERGY
        ),
    ] = None,
    estimate_energy: Annotated[
        bool,
        typer.Option(
            "--estimate-energy",
            help="Estimate energy from the rated power, in a column of its own.",
            rich_help_panel=_ENERGY,
        ),
    ] = False,
    output: Annotated[Path, typer.Option(help="Where runs are stored.", rich_help_panel=_STORED)] = RUNS,
    resume: Annotated[
        str | None, typer.Option(help="Go on with this run: its path, id, or 'latest'.", rich_help_panel=_STORED)
    ] = None,
    shard: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Measure this shard of a plan, or go on with it: see bench plan.",
            rich_help_panel=_STORED,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Print the plan and stop.", rich_help_panel=_STORED)] = False,
    report: Annotated[bool, typer.Option(help="Write the report at the end.", rich_help_panel=_STORED)] = True,
    json: Annotated[
        bool, typer.Option(help="Print events as JSON lines on standard output.", rich_help_panel=_STORED)
    ] = False,
) -> None:
    """Run a suite on backends and store every sample.

    Exit code 0; 3 if a case planned as runnable ended neither ok nor unsupported; 130 if interrupted; 2 on wrong
    usage.
    """
    from steelyard.cli.options import model_of, run_options, timeouts_of
    from steelyard.cli.running import finish, new_run, shard_run
    from steelyard.core.errors import UsageError
    from steelyard.core.quantity import seconds_of
    from steelyard.service import asked
    from steelyard.service.running import resume_run
    from steelyard.service.screen import Screen

    if attempts is not None and largest is None:
        raise UsageError("--attempts goes with --largest")
    if shard is not None:
        _only_with(context, "--shard measures what was planned", _WITH_SHARD)
        sys.exit(shard_run(shard, output, wait=wait, report=report, json=json))
    suite, weights = model_of(suite, model, weights, shape=shape, inputs=inputs)
    if resume is not None:
        _only_with(context, _RESUMED, _WITH_RESUME)
        with Screen(as_json=json) as screen:
            ended = resume_run(
                output,
                resume,
                screen,
                weights=weights,
                time_s=None if time is None else seconds_of(time),
                rounds=rounds,
                timeouts=asked.timeouts_of(timeouts_of(timeout or [])),
                meter=asked.meter_of(meter),
                allow_foreign=allow_foreign_processes,
                wait=wait,
            )
        sys.exit(finish(ended, report=report))
    request = asked.request_of(**run_options(context.params))
    if largest is not None:
        if quick or rounds is not None or scenario != "single-stream":
            raise UsageError("--largest times nothing: leave --quick, --rounds and --scenario out")
        from steelyard.cli.largest import run_largest

        code = run_largest(
            request, largest, output, weights=weights, most=attempts, dry_run=dry_run, report=report, json=json
        )
        sys.exit(code)
    sys.exit(new_run(request, output, weights=weights, dry_run=dry_run, report=report, json=json))


_WITH_SHARD = frozenset({"shard", "wait", "output", "report", "json"})
_WITH_RESUME = frozenset(
    {"resume", "model", "weights", "time", "rounds", "timeout", "meter", "allow_foreign_processes"}
    | (_WITH_SHARD - {"shard"})
)
_RESUMED = "--resume goes on with the plan of the stored run (a search is gone on with by its own options)"


def _only_with(context: typer.Context, why: str, allowed: frozenset[str]) -> None:
    """Raise UsageError for what was asked beyond `allowed`: the plan is there already."""
    from steelyard.cli.passed_on import given
    from steelyard.core.errors import UsageError

    if useless := [option for name, option in given(context).items() if name not in allowed]:
        raise UsageError(f"{why}: leave {', '.join(useless)} out")
