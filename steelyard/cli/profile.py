"""`bench profile`: where the time of a call goes, by the profilers of the runtimes, in launches of their own."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli import breaks
from steelyard.core.folders import RUNS

app = typer.Typer(add_completion=False, rich_markup_mode=None, invoke_without_command=True)

app.command("breaks")(breaks.breaks)


@app.callback()
def profile(
    context: typer.Context,
    suite: Annotated[str, typer.Option(help="The suite to trace.")] = "llm",
    backend: Annotated[
        list[str] | None, typer.Option(help="Backends, comma lists allowed, or all. Default: all.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Model size: tiny, small or full. Default: by device.")] = None,
    workload: Annotated[list[str] | None, typer.Option(help="Only these workloads (comma lists allowed).")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Leave these workloads out.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Values of an axis, e.g. --set batch=1,8.")] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A model of your own: a file, or package.module:function.")
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(metavar="INPUT=1x3x224x224", help="With --model: the extents of an input that the file leaves."),
    ] = None,
    inputs: Annotated[Path | None, typer.Option(metavar="FILE.npz", help="With --model: arrays of its inputs.")] = None,
    weights: Annotated[Path | None, typer.Option(help="A local checkpoint directory (safetensors) to use.")] = None,
    device: Annotated[str | None, typer.Option(help="The device. Default: the best present.")] = None,
    tuning: Annotated[str, typer.Option(help="default or max.")] = "default",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of every backend. Default: all cores.")] = None,
    cpus: Annotated[str | None, typer.Option(help="CPUs to run on. Default: the first --threads.")] = None,
    launches: Annotated[int, typer.Option(min=1, help="Launches of each backend.")] = 1,
    window: Annotated[float, typer.Option(min=0.01, help="Seconds of calls per case and launch.")] = 2.0,
    timeout: Annotated[list[str] | None, typer.Option(help="Seconds a stage may last, e.g. compile=1800.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait while another run uses the same CPUs.")] = False,
    venue: Annotated[str, typer.Option(metavar="NAME", help="Draw figures for a venue, as bench report does.")] = "",
    output: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
    dry_run: Annotated[bool, typer.Option(help="Print the plan and stop.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines on standard output.")] = False,
) -> None:
    """Trace a suite on backends: operators and kernels by their own time, overhead, and what nothing was recorded of.

    Nothing of it is a measurement of speed: profilers cost time, and the report says how much. Exit code 0; 3 if a case
    ended neither ok nor unsupported; 130 if interrupted; 2 on wrong usage.
    """
    if context.invoked_subcommand is not None:
        return
    from steelyard.cli.interruption import ended_only_when_asked
    from steelyard.cli.options import axes_of, model_of, timeouts_of
    from steelyard.cli.running import new_run
    from steelyard.service.asked import request_of
    from steelyard.service.traced_runs import traced_request

    suite, weights = model_of(suite, model, weights, shape=shape, inputs=inputs)
    request = request_of(
        suite=suite,
        backends=backend or (),
        device=device,
        size=size,
        workloads=workload or (),
        exclude=exclude or (),
        axes=axes_of(set_ or [], shape=shape, inputs=inputs),
        weights=weights,
        tuning=tuning,
        threads=threads,
        cpus=cpus,
        timeouts=timeouts_of(timeout or []),
        window=window,
        wait=wait,
        energy=False,
    )
    asked = traced_request(request, launches)
    with ended_only_when_asked():
        sys.exit(new_run(asked, output, weights=weights, dry_run=dry_run, report=True, json=json, venue=venue))


@app.command("diff")
def diff(
    before: Annotated[str, typer.Argument(help="A traced run: its path, id, part of an id, or 'latest'.")],
    after: Annotated[str, typer.Argument(help="Another one, or the same with --against.")],
    backend: Annotated[str, typer.Option(metavar="NAME", help="Only this backend. Default: all in common.")] = "",
    against: Annotated[
        str, typer.Option(metavar="NAME", help="With --backend: the backend of AFTER, where it is another.")
    ] = "",
    runs: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """What changed between two traced runs, or two backends: the operators whose own times differ most."""
    from steelyard.cli.output import print_json
    from steelyard.cli.tables import print_report_table
    from steelyard.core.errors import UsageError
    from steelyard.store import find_run, open_run
    from steelyard.tracing.difference_table import difference_tables

    if against and not backend:
        raise UsageError("--against names a backend of AFTER: name that of BEFORE with --backend")
    sides = [open_run(find_run(runs, name)) for name in (before, after)]
    tables = difference_tables(*sides, backend=backend, against=against)
    if json:
        print_json("profile-diff", {"tables": tables})
        return
    for table in tables:
        print_report_table(table)
        typer.echo("")
