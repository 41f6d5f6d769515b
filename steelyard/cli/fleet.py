"""`bench fleet`: the shards of a plan on the machines of a group, through Slurm, and their runs joined."""

from pathlib import Path
from typing import Annotated

import typer

from steelyard.core.folders import RUNS

app = typer.Typer(
    help="The shards of a plan (bench plan) on many machines.", no_args_is_help=True, rich_markup_mode=None
)
_Plan = Annotated[Path, typer.Argument(metavar="PLAN", exists=True, file_okay=False, help="The folder of the shards.")]
_Runs = Annotated[Path, typer.Option(help="Where runs are stored, on a disk that all machines share.")]


@app.command("submit")
def submit(
    plan: _Plan,
    runs: _Runs = RUNS,
    gres: Annotated[str, typer.Option(help="As of sbatch, e.g. gpu:a100:1.")] = "",
    constraint: Annotated[str, typer.Option(help="As of sbatch: the features a node must have.")] = "",
    partition: Annotated[str, typer.Option(help="As of sbatch.")] = "",
    time: Annotated[str, typer.Option(help="As of sbatch: how long an element may take at once.")] = "",
    sbatch: Annotated[
        list[str] | None,
        typer.Option(metavar="OPTION", help="A further option, e.g. --sbatch=--account=x."),
    ] = None,
    setup: Annotated[
        list[str] | None, typer.Option(metavar="LINE", help="A line of the shell before bench; may be repeated.")
    ] = None,
    container: Annotated[str, typer.Option(metavar="IMAGE", help="Run in this image, by Apptainer.")] = "",
    dry_run: Annotated[bool, typer.Option(help="Print the scripts and stop.")] = False,
) -> None:
    """Submit the shards that are not measured as one array of jobs, and a job that joins their runs at the end."""
    from steelyard.fleet import slurm
    from steelyard.fleet.scripts import Resources
    from steelyard.service.sharding import every

    asked = Resources(
        gres=gres,
        constraint=constraint,
        partition=partition,
        time=time,
        options=tuple(sbatch or ()),
        setup=tuple(setup or ()),
        container=container,
    )
    shards = every(plan)
    if dry_run:
        for script in slurm.scripts(shards, plan, runs, asked):
            typer.echo(script)
        return
    jobs = slurm.submit(shards, plan, runs, asked)
    typer.echo(f"job {jobs.arrays[-1]}; bench fleet status {plan} tells how it stands")
    typer.echo(f"job {jobs.gathering[-1]} joins the runs when all have ended")


@app.command("sky")
def sky(
    plan: _Plan,
    accelerators: Annotated[str, typer.Option(help="As SkyPilot names them, e.g. A100:1 or tpu-v5e-8.")],
    bucket: Annotated[str, typer.Option(help="The storage that all machines mount, where runs are kept.")],
    package: Annotated[
        list[str] | None, typer.Option("--with", metavar="PACKAGE", help="What pip installs; may be repeated.")
    ] = None,
) -> None:
    """Print a task for SkyPilot: a machine of a cloud or a cluster measures one shard (SHARD) and keeps its run."""
    from steelyard.fleet.sky import task
    from steelyard.service.sharding import every

    packages = package or ["steelyard[tpu]" if accelerators.startswith("tpu") else "steelyard[cuda]"]
    typer.echo(task(every(plan), plan, accelerators=accelerators, bucket=bucket, packages=packages), nl=False)


@app.command("status")
def status(
    plan: _Plan,
    runs: _Runs = RUNS,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of a table.")] = False,
) -> None:
    """How it stands with each shard: by its stored run first, then by the scheduler."""
    from steelyard.cli.output import print_json, print_table
    from steelyard.fleet.slurm import standings
    from steelyard.service.sharding import every

    found = standings(every(plan), plan, runs)
    if json:
        fields = [
            {"shard": each.shard.place.number, "state": each.state, "told": each.told, "titles": each.shard.titles}
            for each in found
        ]
        print_json("fleet", {"plan": found[0].shard.place.plan, "shards": fields})
        return
    rows = [(str(each.shard.place.number), each.state, each.told, "; ".join(each.shard.titles)) for each in found]
    print_table(str(plan), ("shard", "state", "", "configurations"), rows)


@app.command("gather")
def gather(
    plan: _Plan,
    sources: Annotated[
        list[Path] | None, typer.Option("--from", metavar="DIR", help="Where runs of the shards are; may be repeated.")
    ] = None,
    runs: _Runs = RUNS,
    report: Annotated[bool, typer.Option("--report", help="Write the report of the joined run.")] = False,
) -> None:
    """Make one run of those of a plan's shards. Shards that are missing are told. The same runs are joined once."""
    from steelyard.cli.output import printable
    from steelyard.service.reporting import reported
    from steelyard.service.sharding import every
    from steelyard.store import runs_once
    from steelyard.store.join import join

    shards = every(plan)
    places = dict.fromkeys(path for source in sources or [runs] for path in runs_once(source))
    made = join(shards, list(places), runs)
    typer.echo(printable(f"{made.path}: {'joined' if made.new else 'is here already'}"))
    for place in made.missing:
        file = plan / f"{place.number}.json"
        typer.echo(printable(f"  {place} was not measured to the end: bench run --shard {file}"))
    for line in reported(made.path) if report and made.new else ():
        typer.echo(printable(line))


@app.command("goodput")
def goodput(
    chosen: Annotated[
        list[str] | None, typer.Argument(metavar="RUN", help="Stored runs, by id or folder. Default: all of --runs.")
    ] = None,
    runs: _Runs = RUNS,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of a table.")] = False,
) -> None:
    """What machines made of their time, by device: the time of launches that count, of these in timed calls, and of the
    hardware's ceiling in those, as shares and as their product."""
    from steelyard.cli.output import print_json, print_table, printable
    from steelyard.service.goodput import by_device
    from steelyard.store import find_run, runs_once
    from steelyard.tables.format import duration, percent

    paths = [find_run(runs, each) for each in chosen] if chosen else runs_once(runs)
    counted = by_device(paths)
    for path, reason in counted.unread.items():
        typer.echo(printable(f"left out: {path}: {reason}"), err=True)
    titles = ("availability", "runtime", "program", "goodput")
    if json:
        fields = [
            {"device": device, "runs": count, "spent_s": spent.spent_s, **{key: getattr(spent, key) for key in titles}}
            for device, (count, spent) in counted.devices.items()
        ]
        print_json("goodput", {"devices": fields})
        return
    rows = []
    for device, (count, spent) in counted.devices.items():
        shares = [getattr(spent, key) for key in titles]
        told = ["not known" if share is None else percent(share) for share in shares]
        rows.append((device, str(count), duration(spent.spent_s), *told))
    print_table("goodput", ("device", "runs", "launches", *titles), rows, right=("runs", "launches", *titles))


@app.command("cancel")
def cancel(plan: _Plan) -> None:
    """Cancel the jobs of a plan. What was measured stays, and submit goes on with it."""
    from steelyard.fleet import slurm

    jobs = slurm.cancel(plan)
    typer.echo(f"cancelled: {', '.join((*jobs.arrays, *jobs.gathering))}" if jobs.arrays else f"{plan}: has no jobs")
