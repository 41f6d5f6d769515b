"""`bench dashboard`: a static site of a history."""

from pathlib import Path
from typing import Annotated

import typer

from steelyard.core.folders import RUNS

app = typer.Typer(help="A static site of a history.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _root() -> None:
    """A static site of a history."""


@app.command("build")
def build(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="A folder of its own.")],
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The history. Default: history.jsonl among the runs.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Where runs are stored: the newest one is shown.")] = RUNS,
) -> None:
    """Write the site: changes of level, suites and machines, every series with its nights, coverage. Any web server can
    serve it, and a browser read it from the disk."""
    from steelyard.core.errors import UsageError
    from steelyard.dashboard.site import build as written
    from steelyard.history import record
    from steelyard.service.machines import machines_of, newest_of

    target = file or runs / record.NAME
    if not target.exists():
        raise UsageError(f"{target}: there is no history here; bench history add makes one of the stored runs")
    pages = written(record.read(target), output, machines=machines_of(runs), newest=newest_of(runs))
    typer.echo(f"{pages[0]}: {len(pages)} pages")
