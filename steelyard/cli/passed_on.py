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
        if useless := [option for name, option in given(read).items() if name in _ITS_OWN]:
            raise UsageError(f"{', '.join(useless)}: for bench run alone; {context.command_path} has no use for it")
        return dict(read.params)


def given(context: Any) -> dict[str, str]:
    """The options that stand on a command line, as the command spells them, by their parameters' names."""
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    return {
        name: options[name]
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
