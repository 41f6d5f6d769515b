"""`bench compare`: stored runs held against each other, and an exit code for CI."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steelyard.cli.output import print_json, print_table, printable
from steelyard.cli.verdicts import exit_code, verdicts_of
from steelyard.core.folders import RUNS

if TYPE_CHECKING:
    from steelyard.across.prices import Price
    from steelyard.artifact.receipt import Across
    from steelyard.core.comparison import Comparison
    from steelyard.core.run import Run
    from steelyard.tables.table import Cell, Column, ReportData


def compare(
    sides: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Runs by path, id, part of an id, or 'latest'; several of one side as a comma list. The first side "
            "is the baseline. One run alone: its backends against each other.",
        ),
    ],
    fail_on: Annotated[
        str | None, typer.Option(help="slower, inconclusive, or both as a comma list: exit with 1 or 4.")
    ] = None,
    factor: Annotated[
        str | None, typer.Option(help="What is compared across runs, if they differ in several things or in none.")
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DEVICE=AMOUNT/hour",
            help="What an hour of a device costs: 'H100=2.99 USD/hour', or a TOML file of prices; may be repeated.",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the comparison of several runs as a report, into DIR.")
    ] = None,
    formats: Annotated[
        str,
        typer.Option("--format", metavar="NAMES", help="With --report: all, or some of csv,html,latex,markdown,typst."),
    ] = "all",
    runs: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of a table.")] = False,
) -> None:
    """Compare stored runs. Across runs, faster and slower need at least 3 runs on each side."""
    from steelyard.across.prices import parse_prices
    from steelyard.core.errors import UsageError
    from steelyard.service.comparing import comparisons
    from steelyard.service.report_files import table_formats

    wanted = verdicts_of(fail_on)
    prices = parse_prices(price or ())
    chosen = table_formats(formats)
    if formats != "all" and report is None:
        raise UsageError("--format says how to write a report; say where with --report DIR")
    if len(sides) == 1 and (report is not None or prices):
        raise UsageError("--report and --price are for several runs; of one run alone write bench report RUN")
    if prices and json and report is None:
        raise UsageError("--json has no costs; write them with --report DIR, or leave out --json")
    loaded = [_load(runs, side) for side in sides]
    found = comparisons(loaded, factor)
    every = tuple(entry for side in found for entry in side)
    needed = len(loaded) > 1 and (report is not None or not json)
    data = _across(loaded, found, prices) if needed else None
    if json:
        ids = [[run.manifest.run_id for run in side] for side in loaded]
        print_json("comparison", {"sides": ids, "comparisons": every})
    else:
        _print(every)
        if data is not None:
            _print_numbers(data)
    if report is not None and data is not None:
        made = _source(loaded, factor, prices)
        _write(data, made, chosen, report, quiet=json)
    sys.exit(exit_code(every, wanted))


def _load(root: Path, side: str) -> list["Run"]:
    from steelyard.core.errors import UsageError
    from steelyard.store import find_run, open_run

    names = [name.strip() for name in side.split(",") if name.strip()]
    if not names:
        raise UsageError("bench compare: a side without a run")
    return [open_run(find_run(root, name)) for name in names]


def _print(found: Sequence["Comparison"]) -> None:
    from steelyard.cli.shown import with_interval

    if not found:
        typer.echo("nothing to compare: the sides have no configuration and metric in common")
        return
    groups: dict[str, list[Comparison]] = {}
    for entry in found:
        groups.setdefault(f"{entry.title}, {entry.metric.removesuffix('_s')}, {entry.scope}", []).append(entry)
    for title, entries in groups.items():
        rows = [
            (entry.candidate, entry.baseline, with_interval(entry.speedup), entry.verdict, entry.family)
            for entry in entries
        ]
        print_table(title, ("candidate", "baseline", "speed-up", "verdict", "family"), rows, ("speed-up",))
        for entry in entries:
            for text in entry.remarks:
                told = text if text == entry.approximate else f"{entry.candidate}: {entry.verdict}: {text}"
                typer.echo(printable(f"  {told}"))
        typer.echo("")
    typer.echo("speed-up: baseline / candidate, above 1 is faster, with its 95 % interval\n")


def _across(
    sides: Sequence[Sequence["Run"]], found: Sequence[Sequence["Comparison"]], prices: Sequence["Price"]
) -> "ReportData":
    from steelyard.across.report import build_across

    return build_across(sides, found, prices)


def _print_numbers(data: "ReportData") -> None:
    """The numbers of the sides below each other, which fits any terminal; the verdicts are printed already."""
    for table in data.tables:
        if table.place != "main" or table.name == "across-verdicts":
            continue
        if not table.rows:
            typer.echo(printable(f"{table.title}: {table.empty}\n"))
            continue
        columns = [column for column in table.columns if column.numeric]
        heads = [column.heading for column in table.columns if not column.numeric]
        rows = [
            (
                *(cell.text for cell in row.cells[: len(heads)]),
                column.title,
                _number(table.cell(row, column.key), column),
            )
            for row in table.rows
            for column in columns
        ]
        unit = (columns[0].shown or columns[0].unit).replace("1", "value")  # a price without a currency has no unit
        print_table(table.title, (*heads, "backend", unit), rows, (unit,))
        for note in table.footnotes:
            typer.echo(printable(f"  [{note.mark}] {note.text}"))
        typer.echo("")


def _number(cell: "Cell", column: "Column") -> str:
    from steelyard.tables.format import shown

    return shown(cell, column).text + (f" [{','.join(cell.notes)}]" if cell.notes else "")


def _source(sides: Sequence[Sequence["Run"]], factor: str | None, prices: Sequence["Price"]) -> "Across":
    from steelyard.artifact.receipt import Across, ReportedRun

    return Across(
        sides=tuple(tuple(ReportedRun(run=run.manifest.run_id, digest=run.digest) for run in side) for side in sides),
        factor=factor or "",
        prices=tuple(prices),
    )


def _write(data: "ReportData", made: "Across", formats: Sequence[str], directory: Path, *, quiet: bool) -> None:
    """Write the reports and from what they were made; where stdout is one JSON object, the places go to stderr."""
    from steelyard import plugins
    from steelyard.artifact import receipt
    from steelyard.render.output import ReportInputs, save
    from steelyard.service.report_files import write_all

    written = write_all(ReportInputs(data=data), [plugins.reports()[name] for name in formats], directory)
    for line in written.lines:
        typer.echo(line, err=quiet)
    first = made.sides[0][0]
    batch = receipt.Batch(formats=written.formats)
    before = receipt.read_receipt(directory)
    now = receipt.with_batch(before, first.run, first.digest, batch, made)
    save(directory / receipt.NAME, receipt.receipt_text(now))
    written.whole()
