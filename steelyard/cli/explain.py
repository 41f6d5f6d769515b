"""`bench explain`: what each backend was given for a case, and what it did."""

import textwrap
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steelyard.cli.output import print_json, print_table, printable
from steelyard.core.folders import RUNS

if TYPE_CHECKING:
    from steelyard.store import StoredRun
    from steelyard.tables.explain import Explanation
    from steelyard.tables.explain_fields import Field

_NAME_WIDTH = 24
_COLUMN_WIDTH = 17
_MARKS = {"differs": "≠ ", "not told": "? ", "same": "  ", "measured": "  "}


def explain(
    case: Annotated[str, typer.Argument(help="A case: its id or the beginning of it, or WORKLOAD/AXIS=VALUE.")],
    run: Annotated[str, typer.Option(help="The run: its path, id, the beginning or end of its id.")] = "latest",
    runs: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
    programs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with the program at each point of compilation instead."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print data instead of tables.")] = False,
) -> None:
    """Explain a case: what every backend was given and what it did, with every difference marked."""
    from steelyard.store import find_run, read_run
    from steelyard.tables.explain import explain as explained
    from steelyard.tables.explain import find_point
    from steelyard.tables.facts import gather

    stored = read_run(find_run(runs, run))
    facts = gather(stored.run)
    point = find_point(facts, case)
    if programs is not None:
        from steelyard.tracing.programs import write

        typer.echo(f"programs: {write(stored.run, stored.path, point, programs)}")
        return
    found = explained(facts, point)
    if json:
        print_json("explanation", document(stored, found))
    else:
        _print(stored, found)


def document(stored: "StoredRun", found: "Explanation") -> dict[str, Any]:
    """The fields of `bench explain --json`, as docs/json.md lists them."""
    return {
        "run_id": stored.run.manifest.run_id,
        "workload": found.point.workload,
        "point": found.point.key,
        "axes": dict(found.point.axes),
        "cases": dict(found.cases),
        "alike": dict(found.alike),
        "sections": found.sections,
        "differing": list(found.differing),
        "own": {arm: dict(fields) for arm, fields in found.own.items()},
        "remarks": list(found.remarks),
        "notes": list(stored.notes),
    }


def _print(stored: "StoredRun", found: "Explanation") -> None:
    from rich.console import Console

    width = Console().width
    typer.echo(_wrapped(found.point.title, width))
    typer.echo(f"run {printable(stored.run.manifest.run_id)}")
    for note in stored.notes:
        typer.echo(_wrapped(f"note: {note}", width))
    typer.echo("\ngiven to all alike")
    typer.echo(_wrapped("; ".join(f"{name}: {text}" for name, text in found.alike.items()), width, "  "))
    for section in found.sections:
        same = [field for field in section.fields if field.compared == "same" and len(found.arms) > 1]
        rest = [field for field in section.fields if field not in same]
        typer.echo(f"\n{section.title}")
        if same:
            told = "; ".join(f"{field.name}: {next(iter(field.values.values()))}" for field in same)
            typer.echo(_wrapped(f"the same for all that ran: {told}", width, "  "))
        if rest:
            _columns(found.arms, rest, width)
    typer.echo("\nin each runtime's own words")
    for arm, fields in found.own.items():
        typer.echo(f"{printable(arm)} (case {found.cases[arm]})")
        for head, group in groupby(fields.items(), key=lambda entry: entry[0].partition(": ")[0]):
            told = "; ".join(f"{name.partition(': ')[2]}: {text}" for name, text in group)
            typer.echo(_wrapped(f"{head}: {told}", width, "  "))
    for remark in found.remarks:
        typer.echo(_wrapped(remark, width))
    if len(found.arms) > 1:
        typer.echo("\n≠ the backends differ   ? some do not tell   – nothing is known")
        names = ", ".join(found.differing)
        typer.echo(_wrapped(f"{len(found.differing)} fields differ: {names}" if names else "no field differs", width))


def _columns(arms: tuple[str, ...], fields: "list[Field]", width: int) -> None:
    """A column for each backend; as many beside each other as the terminal has room for."""
    room = max(1, (width - _NAME_WIDTH) // _COLUMN_WIDTH)
    for first in range(0, len(arms), room):
        shown = arms[first : first + room]
        rows = [(_MARKS[field.compared] + field.name, *(field.values[arm] for arm in shown)) for field in fields]
        print_table("", ("", *shown), rows)


def _wrapped(text: str, width: int, indent: str = "") -> str:
    """Lines no longer than the terminal is wide, all but the first set in."""
    lines = printable(text).splitlines() or [""]
    hanging = indent + "  "
    filled = [textwrap.fill(line, width, initial_indent=indent, subsequent_indent=hanging) for line in lines]
    return "\n".join(filled)
