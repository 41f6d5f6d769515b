"""The command of a run as it is stored: without the folders of the machine on which it was given."""

import os
from collections.abc import Sequence
from pathlib import Path

PATH_OPTIONS = frozenset({"--inputs", "--meter", "--model", "--output", "--resume", "--shard", "--weights"})
"""Options of `bench run` that take a path."""
_ROOTS = ("/", "~", "./", "../")


def stored_command(arguments: Sequence[str]) -> tuple[str, ...]:
    """`bench` and its arguments, of every path the last part alone: folders name projects, laboratories and people.

    A path is what follows an option that takes one, and whatever begins at a root, at home or at a folder above.
    Bytes that are no text, as a file's name may have, are stored as U+FFFD.
    """
    kept = ["bench"]
    before = ""
    for argument in (os.fsencode(given).decode(errors="replace") for given in arguments):
        option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
        is_path = before in PATH_OPTIONS or option in PATH_OPTIONS or value.startswith(_ROOTS)
        kept.append(f"{option}{equals}{Path(value).name or value}" if value and is_path else argument)
        before = argument
    return tuple(kept)
