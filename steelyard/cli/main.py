"""`bench`: the verbs and groups. Each verb's module imports what it needs only when it runs."""

import os
import sys
from typing import Annotated

import typer

from steelyard.cli import (
    bundle,
    cache,
    ci,
    compare,
    coverage,
    dashboard,
    doctor,
    env,
    explain,
    fleet,
    hardware,
    history,
    new,
    plan,
    profile,
    replay,
    report,
    repro,
    run,
    score,
    selftest,
    show,
    store,
    tune,
    verify,
)
from steelyard.cli import list as listing
from steelyard.cli.grouped import Grouped
from steelyard.cli.interruption import ended_only_when_asked
from steelyard.cli.output import printable
from steelyard.cli.passed_on import PASSED_ON
from steelyard.cli.streams import take_over
from steelyard.cli.terminal import degrade
from steelyard.core.errors import SteelyardError, UsageError

app = typer.Typer(
    name="bench",
    help="Benchmark the same model workloads through AI compilers and runtimes.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
measures = ended_only_when_asked()

app.command("run", cls=Grouped)(measures(run.run))
app.command("plan", context_settings=PASSED_ON)(plan.plan)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("show")(show.show)
app.command("explain")(explain.explain)
app.command("verify")(verify.verify)
app.command("bundle")(bundle.bundle)
app.command("replay")(measures(replay.replay))
app.command("repro")(repro.repro)
app.command("list")(listing.list_)
app.command("doctor")(doctor.doctor)
app.command("new")(new.new)
app.command("score", context_settings=PASSED_ON)(measures(score.score))
app.command("tune", context_settings=PASSED_ON)(measures(tune.tune))
app.command("selftest")(measures(selftest.selftest))
app.add_typer(profile.app, name="profile")
app.add_typer(history.app, name="history")
app.add_typer(hardware.app, name="hardware")
app.add_typer(cache.app, name="cache")
app.add_typer(ci.app, name="ci")
app.add_typer(coverage.app, name="coverage")
app.add_typer(dashboard.app, name="dashboard")
app.add_typer(env.app, name="env")
app.add_typer(fleet.app, name="fleet")
app.add_typer(store.app, name="store")


def _version(wanted: bool) -> None:
    if wanted:
        from steelyard import __version__

        typer.echo(f"steelyard {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Benchmark the same model workloads through AI compilers and runtimes."""
    try:
        sys.path.append(os.getcwd())  # last: a plug-in of the user's is found there, and shadows no package
    except OSError as error:
        raise UsageError(f"the working directory: {error.strerror}; change to one that exists (cd)") from error


def main() -> None:
    """The console script. Errors of this project end with their message and exit code, without a traceback."""
    take_over()
    degrade()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # here, where a failure is still met
    except SteelyardError as error:
        typer.echo(printable(f"bench: {error}"), err=True)  # it may quote what a stored file says
        sys.exit(error.exit_code)
