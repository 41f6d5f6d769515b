"""`bench report`: print a stored run as Markdown, CSV, LaTeX, HTML and figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steelyard.cli.output import RUNS
from steelyard.core.errors import unknown_name

if TYPE_CHECKING:
    from steelyard.core.run import Run

FOLDER = "report"
"""Where a report lies inside its run, unless told otherwise."""


def report(
    run: Annotated[str, typer.Argument(help="A run: its path, id, the beginning or end of its id, or 'latest'.")],
    formats: Annotated[
        str, typer.Option("--format", metavar="NAMES", help="all, or a comma list of csv,figures,html,latex,markdown.")
    ] = "all",
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; default: report/ in the run.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Where runs are stored.")] = RUNS,
) -> None:
    """Write the report of a stored run. It adds no numbers; the same run gives the same bytes."""
    from steelyard.store import find_run

    wanted = tuple(name.strip() for name in formats.split(",") if name.strip())
    for line in write_report(find_run(runs, run), wanted, output):
        typer.echo(line)


def write_report(path: Path, formats: Sequence[str] = ("all",), output: Path | None = None) -> tuple[str, ...]:
    """Write the report of the run stored at `path`. Returns a line per format: its name and where to begin reading.

    Raises UsageError for an unknown format, StoreError for a run that cannot be read, SteelyardError for a
    directory that cannot be written.
    """
    from steelyard.store import open_run

    _formats(formats)  # a wrong name is told before a long run is read
    return write_run(open_run(path), formats, output if output is not None else path / FOLDER)


def write_run(run: "Run", formats: Sequence[str], directory: Path) -> tuple[str, ...]:
    """The same for a run in memory."""
    from steelyard import plugins
    from steelyard.core.errors import SteelyardError
    from steelyard.tables.build import build
    from steelyard.tables.drawing import pictures
    from steelyard.tables.output import ReportInputs

    names = _formats(formats)
    chosen = [plugins.reports()[name] for name in names]
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SteelyardError(f"{directory}: cannot be made: {error.strerror}; give another with --output") from error
    data = build(run)
    inputs = ReportInputs(
        data=data,
        pictures=pictures(plugins.figures().values(), data) if any(entry.draws for entry in chosen) else (),
        figures_beside="figures" in names,
    )
    return tuple(f"{entry.name}: {_entry(entry.write(inputs, directory), directory)}" for entry in chosen)


def _formats(formats: Sequence[str]) -> tuple[str, ...]:
    from steelyard import plugins
    from steelyard.core.errors import UsageError

    known = plugins.reports()
    if not formats:
        raise UsageError(f"--format names nothing; valid: all, {', '.join(sorted(known))}")
    for name in formats:
        if name != "all" and name not in known:
            raise unknown_name("report format", name, [*known, "all"])
    return tuple(sorted(known)) if "all" in formats else tuple(dict.fromkeys(formats))


def _entry(files: Sequence[Path], directory: Path) -> Path:
    """The file that a reader opens first: the report itself, or the folder that holds many files."""
    named = [path for path in files if path.stem == "report"]
    if named:
        return named[0]
    return files[0].parent if files else directory
