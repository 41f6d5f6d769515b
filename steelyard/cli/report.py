"""`bench report`: print a stored run as Markdown, CSV, LaTeX, typst, HTML and figures, or write it for another tool."""

from pathlib import Path
from typing import Annotated

import typer

from steelyard.core.folders import RUNS


def report(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="A run: its path, id, the beginning or end of its id, or 'latest'. Several are a history, which "
            "only the export otava holds.",
        ),
    ],
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAMES",
            help="all, or a comma list of csv,figures,html,latex,markdown,typst; exports, which all leaves out: "
            "bencher,github-action,google-benchmark,junit,otava,perfetto,pytest-benchmark,pytorch-oss; or "
            "module:REPORT, one of your own.",
        ),
    ] = "all",
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            "--with",
            metavar="FILE",
            help="Results of pytest-benchmark or Google Benchmark (JSON), printed as tables beside; may be repeated.",
        ),
    ] = None,
    venue: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Draw figures in the width, type size and typeface of icml, neurips, mlsys, acm, ieee, usenix, thesis "
            "or slides. Default: 3.3 inches, fit for most columns.",
        ),
    ] = "",
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; default: report/ in the run.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
) -> None:
    """Write the report of a stored run. It adds no numbers; the same run gives the same bytes.

    Exit code 0; 1 if a figure or a format could not be made, which keeps no other from being written.
    """
    from steelyard.service.report_files import PartsFailed
    from steelyard.service.reporting import write_report
    from steelyard.store import find_run

    wanted = tuple(name.strip() for name in formats.split(",") if name.strip())
    *earlier, path = [find_run(runs, name) for name in names]
    try:
        lines = write_report(path, wanted, output, beside=beside or (), earlier=earlier, venue=venue)
    except PartsFailed as error:
        typer.echo("\n".join(error.lines))
        raise
    typer.echo("\n".join(lines))
