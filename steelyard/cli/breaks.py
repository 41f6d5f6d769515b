"""`bench profile breaks`: where torch.compile leaves a module's graph, and what it compiles again."""

from pathlib import Path
from typing import Annotated

import typer


def breaks(
    model: Annotated[str, typer.Option(metavar="package.module:function", help="What returns (module, inputs).")],
    shape: Annotated[
        list[str] | None,
        typer.Option(metavar="INPUT=2x16", help="A further call, with an input in other extents; may be repeated."),
    ] = None,
    backend: Annotated[str, typer.Option(metavar="NAME", help="A backend of torch.compile.")] = "inductor",
    window: Annotated[float, typer.Option(min=0.01, help="Seconds in which calls are timed.")] = 1.0,
    report: Annotated[Path | None, typer.Option(metavar="DIR", help="Write a report, into DIR.")] = None,
    formats: Annotated[
        str,
        typer.Option("--format", metavar="NAMES", help="With --report: all, or some of csv,html,latex,markdown,typst."),
    ] = "all",
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Compile a torch module with graph breaks allowed: each break with its place and reason, each guard that failed.

    Exit code 0 whatever is found; 2 where the function, its module or its inputs do not work.
    """
    from steelyard import plugins
    from steelyard.cli.output import print_json, printable
    from steelyard.cli.tables import print_report_table
    from steelyard.core.errors import UsageError
    from steelyard.lowering.own.files import shapes_of
    from steelyard.render.output import ReportInputs
    from steelyard.service.breaking import look_for_breaks
    from steelyard.service.manifest import now
    from steelyard.service.report_files import table_formats, write_all
    from steelyard.tracing.breaks import build_breaks

    if formats != "all" and report is None:
        raise UsageError("--format says how to write a report; say where with --report DIR")
    chosen = table_formats(formats)
    shapes = [entry for text in shape or [] for entry in shapes_of((text,)).items()]
    found = look_for_breaks(model, backend=backend, shapes=shapes, seconds=window)
    data = build_breaks(found, now())
    if json:
        print_json("graph-breaks", {"breaks": found})
    else:
        for line in data.headline:
            typer.echo(printable(line))
        for table in data.tables:
            typer.echo("")
            print_report_table(table)
    if report is not None:
        for line in write_all(ReportInputs(data=data), [plugins.reports()[name] for name in chosen], report).whole():
            typer.echo(line, err=json)
