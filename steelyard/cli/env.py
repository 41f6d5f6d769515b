"""`bench env`: virtual environments in which backends run that conflict with others, or in another version."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from steelyard.core.backend import BackendSpec

app = typer.Typer(
    help="Environments of backends: other versions of a runtime, or what conflicts with the rest.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_Backend = Annotated[
    str,
    typer.Argument(
        metavar="BACKEND@NAME", help="For example onnxruntime@1.24; create without @NAME: the newest version, @latest."
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print data instead of a table.")]


@app.command("create")
def create(
    backend: _Backend,
    package: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="PACKAGE",
            help="Install this; may be repeated. Default: what the runner asks for, the runtime at version NAME.",
        ),
    ] = None,
    requirements: Annotated[
        list[Path] | None, typer.Option(exists=True, dir_okay=False, help="Install what this file lists, as a lock.")
    ] = None,
    constraint: Annotated[
        list[Path] | None, typer.Option(exists=True, dir_okay=False, help="Install no other versions than this file's.")
    ] = None,
    python: Annotated[str, typer.Option(metavar="PYTHON", help="The interpreter. Default: that of bench.")] = "",
    inherit: Annotated[
        bool, typer.Option("--inherit", help="See the packages of the environment of bench beneath its own.")
    ] = False,
    anew: Annotated[bool, typer.Option("--anew", help="Make it again if it is there.")] = False,
) -> None:
    """Create an environment, and install the runtime and what a launch needs. Then run --backend BACKEND@NAME."""
    from steelyard.environments.made import create as make

    made = make(
        _backend(backend),
        requirements=package or (),
        files=requirements or (),
        constraints=constraint or (),
        python=python,
        inherits=inherit,
        anew=anew,
        say=lambda text: typer.echo(text, err=True),
    )
    typer.echo(f"{made.backend}: Python {made.found.python}, {len(made.found.packages)} packages")


@app.command("list")
def list_(json: _Json = False) -> None:
    """List the environments with what each was asked to hold."""
    from steelyard.cli.output import print_json, print_table
    from steelyard.environments.kept import every

    found = every()
    whole = [each for each in found.values() if not isinstance(each, str)]
    broken = {name: reason for name, reason in found.items() if isinstance(reason, str)}
    if json:
        print_json("environments", {"environments": whole, "unreadable": broken})
        return
    rows = [(each.backend, each.found.python, ", ".join(each.requirements), each.created_utc) for each in whole]
    print_table("environments", ("backend", "python", "made with", "created"), rows)
    for name, reason in broken.items():
        typer.echo(f"{name}: {reason}")


@app.command("lock")
def lock(backend: _Backend) -> None:
    """Print its packages as a requirements file, from which --requirements makes the same again."""
    from steelyard.environments.kept import find

    typer.echo(find(_backend(backend)).found.lock, nl=False)


@app.command("check")
def check(
    backend: Annotated[list[str] | None, typer.Argument(metavar="[BACKEND@NAME]...", help="Default: all.")] = None,
) -> None:
    """See whether environments are as they were made and their runtimes can be used. Exits 1 if one is not."""
    from steelyard.engine.probe import probe
    from steelyard.environments.kept import every
    from steelyard.environments.made import differences
    from steelyard.hardware.choice import pick_device

    found = every()
    problems = {} if backend else {name: [reason] for name, reason in found.items() if isinstance(reason, str)}
    named = backend or [each.backend for each in found.values() if not isinstance(each, str)]
    answers = probe(named, pick_device(None).kind)
    for text in named:
        spec = _backend(text)
        answer = answers[spec.text]
        problems[text] = [] if answer.available else [answer.reason]
        if answer.available:
            problems[text] += differences(spec)
    for name, lines in problems.items():
        for line in lines or ["as it was made"]:
            typer.echo(f"{name}: {line}")
    if any(problems.values()):
        raise typer.Exit(1)


@app.command("remove")
def remove(backend: _Backend) -> None:
    """Remove an environment."""
    from steelyard.environments.kept import named
    from steelyard.environments.kept import remove as take_away

    spec = _backend(backend)
    typer.echo(f"removed {named(spec)}" if take_away(spec) else f"there is no environment {named(spec)} here")


def _backend(text: str) -> "BackendSpec":
    from steelyard import plugins

    return plugins.backend(text)
