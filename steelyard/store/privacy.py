"""What must not be stored: the names of the machine and its user, and the user's home. Papers are reviewed blind."""

import getpass
import os
import pwd
import re
import socket
from collections.abc import Mapping
from functools import cache
from typing import Any

# Free text, where a name can stand as a word of its own. In other fields (a runtime called like the
# user, say) only the home path is replaced: a name there is the definition's own.
_FREE_TEXT = frozenset({"reason", "log_tail", "command", "evidence", "mismatches", "details", "environment"})
# What a model wrote, and what every model's text is compared with: data, kept to the letter.
_VERBATIM = frozenset({"text", "reference_text"})


def scrub(text: str) -> str:
    """`text` with home directories, user names and host names of this machine replaced by `<home>`, `<user>`, `<host>`.

    A name is replaced where it stands as a whole word; `localhost` names nobody and stays.
    """
    text = scrub_home(text)
    for pattern, placeholder in _names():
        text = pattern.sub(placeholder, text)
    return text


def scrub_home(text: str) -> str:
    """`text` with the user's home directory replaced by `<home>`."""
    for home in _homes():
        text = home.sub("<home>", text)
    return text


def scrub_tree(value: Any, key: str = "", free: bool = False) -> Any:
    """JSON values with every string scrubbed: free text fully (`reason`, `log_tail`, ...), the rest of home paths."""
    if isinstance(value, str):
        if key in _VERBATIM:
            return value
        return scrub(value) if free else scrub_home(value)
    if isinstance(value, Mapping):
        return {name: scrub_tree(item, name, free or name in _FREE_TEXT) for name, item in value.items()}
    if isinstance(value, list):
        if value and isinstance(value[0], float):  # samples
            return value
        return [scrub_tree(item, key, free) for item in value]
    return value


@cache
def _homes() -> tuple[re.Pattern[str], ...]:
    found = {os.environ.get("HOME", ""), os.path.expanduser("~"), _account_home()}
    found = {home for home in found if os.path.isabs(home)}  # without a home, "~" stays "~"
    found |= {os.path.realpath(home) for home in found}
    useful = sorted((home.rstrip("/") for home in found if home.strip("/")), key=len, reverse=True)
    return tuple(re.compile(re.escape(home) + r"(?![\w-])") for home in useful)


@cache
def _names() -> tuple[tuple[re.Pattern[str], str], ...]:
    host = socket.gethostname()
    names = {(name, "<host>") for name in (host, host.partition(".")[0]) if name and name != "localhost"}
    if user := _user():
        names.add((user, "<user>"))
    ordered = sorted(names, key=lambda entry: len(entry[0]), reverse=True)
    return tuple((re.compile(rf"(?<![\w]){re.escape(name)}(?![\w])"), mark) for name, mark in ordered)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without an account or variable: nothing names the user
        return ""


def _account_home() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""
