"""`bench bundle`: a run as one archive for artifact evaluation."""

from pathlib import Path
from typing import Annotated

import typer

from steelyard.core.folders import RUNS


def bundle(
    run: Annotated[str, typer.Argument(help="A run: its path, id, the beginning or end of its id, or 'latest'.")],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The archive, FILE.tar.gz; default: RUN_ID.tar.gz here.")
    ] = None,
    anonymous: Annotated[bool, typer.Option(help="Refuse what names this machine, its user or a home folder.")] = True,
    runs: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
) -> None:
    """Pack a run with its report, its pins and a page for evaluators. The same run gives the same bytes."""
    from steelyard.service.bundling import write_bundle
    from steelyard.store import find_run

    path = write_bundle(find_run(runs, run), output, anonymous=anonymous, runs=runs)
    typer.echo(str(path))
