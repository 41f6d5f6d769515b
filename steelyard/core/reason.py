"""What is said of an error: its innermost cause with file and line, in one line, and its traceback for the log.

Frameworks wrap what went wrong in errors of their own whose first lines name nothing, so that the chain is followed to
its end. The errors of this project say themselves what, where and what to do next: the chain ends at one of them.
Paths are told from the entry of `sys.path` on under which they lie: where a user keeps his files is nobody's affair.
"""

import re
import sys
import sysconfig
import traceback
from pathlib import Path
from types import FrameType

from steelyard.core.errors import SteelyardError

_LENGTH = 500
_LOG_LINES, _LOG_LENGTH = 30, 4000
_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_FRAME = re.compile(r'(?<=^  File ")[^"]+', re.MULTILINE)
_STDLIB = tuple(f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib"))
_SITE = ("site-packages", "dist-packages")


def reason_of(error: BaseException) -> str:
    """One line: `Type: what it says (file.py:12)`, after what the outermost error says where that adds something.

    The place is the last one in code of the user, and where none of it took part the last of all.
    """
    if isinstance(error, SteelyardError):
        return said(error)
    cause, text = innermost(error), _named(error)
    if said(cause) not in text:
        text = f"{text}; cause: {_named(cause)}"
    place = _place(cause)
    return text[: _LENGTH - len(place)] + (f" ({place})" if place else "")


def said(error: BaseException) -> str:
    """The first line of its message, and the next one where a colon announces it, without colours. Never empty."""
    text = _COLOUR.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    first = lines[0]
    if first.endswith(":") and len(lines) > 1:
        first = f"{first} {lines[1]}"
    return first.rstrip(":")[:_LENGTH]


def log_of(error: BaseException) -> str:
    """The end of its traceback, without the folders in which the files lie."""
    lines = "".join(traceback.format_exception(error)).splitlines(keepends=True)[-_LOG_LINES:]
    return _FRAME.sub(lambda found: relative(found[0]), "".join(lines))[-_LOG_LENGTH:]


def relative(path: str) -> str:
    """A path from the entry of `sys.path` on under which it lies; otherwise the file with its folder."""
    entries = [entry for entry in sys.path if entry.strip("/") and path.startswith(f"{entry.rstrip('/')}/")]
    if not entries:
        return "/".join(Path(path).parts[-2:]) if path.startswith("/") else path
    return path[len(max(entries, key=len).rstrip("/")) + 1 :]


def is_installed(path: str) -> bool:
    """Whether a file is of the standard library or of an installed package."""
    return path.startswith(_STDLIB) or any(part in _SITE for part in Path(path).parts)


def _named(error: BaseException) -> str:
    if isinstance(error, SteelyardError):
        return said(error)
    name = type(error).__name__
    return said(error) if said(error) == name else f"{name}: {said(error)}"


def innermost(error: BaseException) -> BaseException:
    """The end of the chain of causes, or the first error of this project in it."""
    seen = {id(error)}
    while not isinstance(error, SteelyardError):
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None or id(cause) in seen:
            break
        seen.add(id(cause))
        error = cause
    return error


def _place(error: BaseException) -> str:
    """`file.py:12` of where an error was raised; empty for an error of this project, which needs none."""
    if isinstance(error, SteelyardError):
        return ""
    frames = [each for each in traceback.walk_tb(error.__traceback__) if not _file(each[0]).startswith("<")]
    users = [each for each in frames if _is_users(each[0])]
    if not frames:
        return ""
    frame, line = (users or frames)[-1]
    return f"{relative(_file(frame))}:{line}"


def _is_users(frame: FrameType) -> bool:
    """Not of this project, the standard library, or an installed package."""
    ours = str(frame.f_globals.get("__name__", "")).partition(".")[0] == "steelyard"
    return not ours and not is_installed(_file(frame))


def _file(frame: FrameType) -> str:
    """Its file; what a compiler wrote has none, and a name in angle brackets instead."""
    return frame.f_code.co_filename
