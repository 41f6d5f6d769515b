"""`bench new`: a skeleton of something of a user's own."""

from pathlib import Path
from typing import Annotated

import typer


def new(
    kind: Annotated[str, typer.Argument(metavar="suite|runner|driver|report|profile", help="What to write.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, which is that of a Python module.")],
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where to write it.")] = Path(),
) -> None:
    """Write a small suite, runner, driver, report or hardware profile of your own, with a test that passes.

    It writes NAME.py (of a profile NAME.toml) and test_NAME.py, overwrites nothing, and says what to type next. What
    is to be changed is marked CHANGE.
    """
    import shlex

    from steelyard.new.skeleton import next_commands, write_skeleton

    for path in write_skeleton(kind, name, folder):
        typer.echo(f"wrote {path}")
    typer.echo("\nnext:")
    if folder != Path():
        typer.echo(f"  cd {shlex.quote(str(folder))}")
    for command in next_commands(kind, name):
        typer.echo(f"  {command}")
