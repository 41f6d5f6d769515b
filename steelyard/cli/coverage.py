"""`bench coverage`: which configurations each backend takes, kept as a file, and what changed since."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steelyard.core.folders import RUNS

if TYPE_CHECKING:
    from steelyard.service.statuses import Statuses

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)
_Runs = Annotated[Path, typer.Option(help="Where runs are stored.")]


@app.command("save")
def save(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A stored run.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where its statuses go, as JSON.")],
    runs: _Runs = RUNS,
) -> None:
    """Keep how every backend ended at every configuration of a run, in a small file for a repository."""
    from steelyard.cli.output import printable
    from steelyard.service.statuses import statuses_of, write
    from steelyard.store import find_run, open_run

    statuses = statuses_of(open_run(find_run(runs, run)))
    write(statuses, file)
    typer.echo(printable(f"{file}: {_told(statuses)}"))


@app.command("diff")
def diff(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="A file that bench coverage save wrote, or a run.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="Another.")],
    shared: Annotated[bool, typer.Option("--common", help="Only configurations and backends that both have.")] = False,
    runs: _Runs = RUNS,
) -> None:
    """What ended otherwise than before: failures that are new, and those that are gone.

    Exit code 1 where anything changed, so that a job also tells of what works now.
    """
    from steelyard.cli.output import print_table, printable
    from steelyard.service.statuses import common, differences

    old, new = _statuses(before, runs), _statuses(after, runs)
    if shared:
        old, new = common(old, new)
    typer.echo(printable(f"{before}: {_told(old)}\n{after}: {_told(new)}"))
    changed = list(differences(old, new))
    rows = [(item.title, item.backend, item.before.replace("_", " "), item.after.replace("_", " ")) for item in changed]
    if not rows:
        typer.echo("nothing ended otherwise")
        return
    print_table("ended otherwise", ("configuration", "backend", "before", "after"), rows)
    sys.exit(1)


def _statuses(name: str, runs: Path) -> "Statuses":
    from steelyard.service.statuses import read, statuses_of
    from steelyard.store import find_run, open_run

    return read(Path(name)) if Path(name).is_file() else statuses_of(open_run(find_run(runs, name)))


def _told(statuses: "Statuses") -> str:
    from steelyard.service.statuses import pass_rates

    return ", ".join(f"{backend} {ok} of {total}" for backend, (ok, total) in pass_rates(statuses).items())
