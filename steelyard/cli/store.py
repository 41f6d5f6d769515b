"""`bench store`: SQL over all stored runs, runs of several places merged, damage named and set aside."""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from steelyard.cli.output import print_json, print_table, printable
from steelyard.core.folders import RUNS

if TYPE_CHECKING:
    from steelyard.store import QueryResult

app = typer.Typer(
    help="Query, merge and verify stored runs.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

RunsOption = Annotated[Path, typer.Option(help="Where runs are stored.")]


@app.command("query")
def query_(
    sql: Annotated[
        str, typer.Argument(metavar="SQL", help="One SELECT over the views samples, results, launches and runs.")
    ],
    runs: RunsOption = RUNS,
    form: Annotated[
        Literal["table", "csv", "json"], typer.Option("--format", help="How the answer is printed.")
    ] = "table",
) -> None:
    """Answer SQL over every stored run (DuckDB). Nothing but the runs can be read, and nothing written."""
    from steelyard.store import query

    answer = query(runs, sql)
    for problem in answer.left_out:
        typer.echo(printable(f"left out: {problem}"), err=True)
    if form == "json":
        columns = [{"name": name, "type": kind} for name, kind in zip(answer.columns, answer.types, strict=True)]
        print_json("query", {"columns": columns, "rows": answer.rows, "left_out": answer.left_out})
    elif form == "csv":
        import csv

        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # data loses no character, whatever a terminal shows
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows([_field(value) for value in row] for row in answer.rows)
    else:
        _print(answer)


@app.command("merge")
def merge_(
    sources: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Runs, or folders of runs.")],
    runs: RunsOption = RUNS,
) -> None:
    """Bring runs of other folders here. Nothing is overwritten; unlike runs with one id are an error, and then
    nothing is merged."""
    from steelyard.store import copies, merge

    for entry in merge(runs, sources):
        parts = ", ".join(entry.added)
        told = f"new ({parts or 'no segment'})" if entry.new else f"added {parts}" if parts else "is here already"
        typer.echo(printable(f"{entry.run_id}: {told}"))
        for name in entry.left_out:
            typer.echo(printable(f"  {name} is not published yet and was left out; bench run --resume publishes it"))
        for name in entry.strangers:
            typer.echo(printable(f"  {name} is no file of the run and was left out"))
    for problem in copies(runs).values():
        typer.echo(printable(problem))


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN...]", help="Runs by path, id or part of an id; default: all.")
    ] = None,
    runs: RunsOption = RUNS,
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Move what is damaged aside, so that the rest can be read.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of a table.")] = False,
) -> None:
    """Hold every file of the stored runs against its hash and schema. Exit code 1 if anything is damaged."""
    from steelyard.store import check_run, find_run, run_folders, set_aside, strangers

    paths = [find_run(runs, name) for name in names] if names else run_folders(runs)
    checked = {path: check_run(path) for path in paths}
    others = {path: strangers(path) for path in paths}
    moved = {
        path: set_aside(path.parent, path, findings) if quarantine and findings else ()
        for path, findings in checked.items()
    }
    if json:
        entries = [
            {
                "run": path.name,
                "findings": findings,
                "strangers": others[path],
                "quarantined": [str(place) for place in moved[path]],
            }
            for path, findings in checked.items()
        ]
        print_json("store", {"runs": entries})
    else:
        for path, findings in checked.items():
            typer.echo(printable(f"{path.name}: {'damaged' if findings else 'whole'}"))
            for finding in findings:
                typer.echo(printable(f"  {finding.file}: {finding.problem}"))
            for name in others[path]:
                typer.echo(printable(f"  {name}: no file of the run, ignored"))
            for place in moved[path]:
                typer.echo(printable(f"  moved to {place}"))
        if not paths:
            typer.echo(f"there are no runs under {runs}")
        elif any(checked.values()) and not quarantine:
            typer.echo("--quarantine moves what is damaged aside, so that the rest can be read")
    sys.exit(1 if any(checked.values()) else 0)


def _print(answer: "QueryResult") -> None:
    numeric = ("DOUBLE", "FLOAT", "INTEGER", "BIGINT", "HUGEINT", "DECIMAL", "NUMBER")
    right = [name for name, kind in zip(answer.columns, answer.types, strict=True) if kind.upper().startswith(numeric)]
    rows = [[_cell(value) for value in row] for row in answer.rows]
    print_table("", answer.columns, rows, right)
    count = len(answer.rows)
    typer.echo(f"{count} row" if count == 1 else f"{count} rows")


def _field(value: Any) -> Any:
    """A value as CSV has it. A file loses no character; a terminal gets no hidden one."""
    if isinstance(value, str) and sys.stdout.isatty():
        return printable(value)
    return "" if value is None else value


def _cell(value: Any) -> str:
    """As text: six significant digits are enough for a table; --format csv and json print all of them."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
