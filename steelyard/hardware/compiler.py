"""The compilers of this machine as CC and CXX name them, and where what they make can be loaded: read in one way."""

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from steelyard.core.errors import Unsupported

_LANGUAGES = {"CC": "C", "CXX": "C++"}
_INSTALL = {"CC": "gcc libc6-dev", "CXX": "g++"}


def command(variable: Literal["CC", "CXX"], otherwise: Sequence[str]) -> tuple[str, ...]:
    """The compiler and its flags: what the variable says, read as a shell would, else the first that is here.

    Raises Unsupported where there is none, or not the one that the variable names: another would be a silent choice.
    """
    text, language = os.environ.get(variable, ""), _LANGUAGES[variable]
    try:
        given = tuple(shlex.split(text))
    except ValueError as error:
        raise Unsupported(
            f"{variable}={text} cannot be read as a command ({error}): set it anew, or unset it"
        ) from None
    if given and shutil.which(given[0]) is None:
        raise Unsupported(
            f"{variable} names the {language} compiler {given[0]}, which is not here: set it anew, or unset it"
        )
    found = given or next(((name,) for name in otherwise if shutil.which(name)), ())
    if not found:
        names = ", ".join((f"${variable}", *otherwise))
        raise Unsupported(
            f"no {language} compiler was found ({names}): on Debian and Ubuntu, apt install {_INSTALL[variable]}"
        )
    return found


def program(variable: Literal["CC", "CXX"], otherwise: Sequence[str], who: str) -> str:
    """The compiler for `who`, which runs what the variable says as the name of one program. Raises Unsupported."""
    name, *flags = command(variable, otherwise)
    if flags:
        raise Unsupported(
            f"{who} takes {variable} for the name of one program, and it has flags ({shlex.join((name, *flags))}): "
            f"set {variable}={name}, or name a script that adds them"
        )
    return name


def not_loadable(folder: Path) -> str:
    """Why no compiled library can be loaded from a folder; empty if one can."""
    if os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0):
        return "its file system is mounted noexec, and no compiled library can be loaded from there"
    return ""


def not_quoted(folder: Path) -> str:
    """Why a folder cannot stand in a command line without quotes; empty if it can."""
    try:
        whole = shlex.split(str(folder)) == [str(folder)]
    except ValueError:
        whole = False
    return "" if whole else "its name has a blank or a quote, and names are given to the compiler without quotes"
