"""Verbs that take the options of `bench run` besides their own."""

from typing import Any

import typer

from steelyard.core.errors import UsageError

_ITS_OWN = frozenset({"attempts", "dry_run", "json", "largest", "report", "resume", "shard"})
"""What says how `bench run` itself goes about it, and nothing of what is measured."""
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
"""The settings of a verb that takes the options of `bench run` besides its own."""


def params_of_run(context: typer.Context) -> dict[str, Any]:
    """What the rest of a command line says as options of `bench run`, read by that command itself. Click's errors are
    those of that command."""
    top = context.find_root()
    command = top.command.get_command(top, "run")  # type: ignore[attr-defined]
    with command.make_context(context.command_path, list(context.args), parent=top) as read:
        options = {parameter.name: parameter.opts[0] for parameter in command.params}
        given = [
            options[name]
            for name in sorted(_ITS_OWN)
            if getattr(read.get_parameter_source(name), "name", "") == "COMMANDLINE"
        ]
        if given:
            raise UsageError(f"{', '.join(given)}: for bench run alone; {context.command_path} has no use for it")
        return dict(read.params)
