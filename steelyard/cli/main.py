"""`bench`: the verbs and groups. Each verb's module imports what it needs only when it runs."""

import os
import sys
from typing import Annotated

import typer

from steelyard.cli import (
    bundle,
    cache,
    compare,
    doctor,
    explain,
    hardware,
    replay,
    report,
    run,
    selftest,
    show,
    store,
    verify,
)
from steelyard.cli import list as listing
from steelyard.cli.output import printable
from steelyard.cli.terminal import degrade
from steelyard.core.errors import SteelyardError

app = typer.Typer(
    name="bench",
    help="Benchmark the same model workloads through AI compilers and runtimes.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("show")(show.show)
app.command("explain")(explain.explain)
app.command("verify")(verify.verify)
app.command("bundle")(bundle.bundle)
app.command("replay")(replay.replay)
app.command("list")(listing.list_)
app.command("doctor")(doctor.doctor)
app.command("selftest")(selftest.selftest)
app.add_typer(hardware.app, name="hardware")
app.add_typer(cache.app, name="cache")
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


def main() -> None:
    """The console script. Errors of this project end with their message and exit code, without a traceback."""
    degrade()
    sys.path.append(os.getcwd())  # last: a plug-in of the user's is found there, and shadows no package
    try:
        app()
    except SteelyardError as error:
        typer.echo(printable(f"bench: {error}"), err=True)  # it may quote what a stored file says
        sys.exit(error.exit_code)
