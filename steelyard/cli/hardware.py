"""`bench hardware`: what this machine is, and what it can reach."""

import typer

from steelyard.cli import ceilings

app = typer.Typer(help="What this machine can reach.", no_args_is_help=True, rich_markup_mode=None)
app.command("ceilings")(ceilings.ceilings)
