"""The terminal: how much room it has, what it can show, and text laid out for it."""

import codecs
import io
import os
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from steelyard.cli.output import printable

Style = Literal["good", "bad", "doubt", "same", "bold", "dim", ""]

_CODES: dict[Style, str] = {"good": "32", "bad": "31", "doubt": "33", "same": "36", "bold": "1", "dim": "2"}
_NEEDED = "█▏░─µ–"
_ASCII = str.maketrans(
    {
        "µ": "u",
        "–": "-",
        "−": "-",
        "×": "x",
        "…": "...",
        "─": "-",
        "∞": "inf",
        "≥": ">=",
        "≤": "<=",
        "≈": "~",
        "±": "+-",
        "→": "->",
    }
)
_CLOSEST = "steelyard.closest"
_EIGHTHS = " ▏▎▍▌▋▊▉"
_NARROWEST = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """Where text goes. Colour only ever repeats what words say; without `unicode` all is ASCII."""

    width: int = 80
    height: int = 24
    colour: bool = False
    unicode: bool = True
    interactive: bool = False

    def paint(self, text: str, style: Style) -> str:
        """Text in a style, where there is colour."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.colour and style and text.strip() else text

    def shown(self, text: str) -> str:
        """Text as this terminal can show it: no control characters, and no more than its characters."""
        text = printable(text)
        return text if self.unicode or text.isascii() else _transliterated(text)

    def bar(self, value: float, high: float, full: float, cells: int) -> str:
        """`value` as a bar, `full` being all of its cells; behind it a shade up to `high`, the interval's end."""
        if not 0 < value <= full:
            return ""
        length = value / full * cells
        whole, rest = int(length), int(8 * (length % 1))
        solid = "█" * whole + (_EIGHTHS[rest] if rest else "") or "▏"
        shade, block = "░", solid
        if not self.unicode:
            shade, block = "-", "#" * max(1, round(length))
        return block + shade * (min(cells, round(high / full * cells)) - len(block))


def this_terminal() -> Terminal:
    """The terminal of this process's standard output; 80 columns without colour where it is none."""
    size = shutil.get_terminal_size((80, 24))
    tty = sys.stdout.isatty()
    dumb = os.environ.get("TERM", "dumb") == "dumb"
    return Terminal(
        width=max(_NARROWEST, size.columns),
        height=size.lines,
        colour=tty and not dumb and not os.environ.get("NO_COLOR"),
        unicode=_encodable(sys.stdout.encoding or "ascii"),
        interactive=tty and not dumb and sys.stdin.isatty(),
    )


def degrade() -> None:
    """Let what standard output cannot encode be written in ASCII that comes close, instead of ending the program.

    A path may hold bytes that are no text: they go out as they came in.
    """
    codecs.register_error(_CLOSEST, _closest)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape" if _encodable(sys.stdout.encoding) else _CLOSEST)


def send(text: str, terminal: Terminal, *, pager: bool) -> None:
    """Print text, through the user's pager (`PAGER`, else less) where it is longer than the terminal."""
    if pager and terminal.interactive and text.count("\n") >= terminal.height and _paged(text):
        return
    sys.stdout.write(text)
    sys.stdout.flush()


def cells(text: str) -> int:
    """How many columns printable text takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def folded(text: str, width: int) -> list[str]:
    """Text in lines of at most `width` columns, broken at spaces where there are any. Nothing is left out."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if cells(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        *pieces, line = _pieces(word, width)
        lines += pieces
    return [*lines, line]


def padded(text: str, width: int, *, right: bool = False) -> str:
    """Text filled up to `width` columns."""
    room = " " * (width - cells(text))
    return room + text if right else text + room


def _pieces(word: str, width: int) -> Iterator[str]:
    piece, used = "", 0
    for character in word:
        room = cells(character)
        if used + room > width:
            yield piece
            piece, used = "", 0
        piece, used = piece + character, used + room
    yield piece


def _paged(text: str) -> bool:
    """Whether a pager took the text; one that the user leaves early has taken it."""
    command = os.environ.get("PAGER") or "less"
    environment = {**os.environ, "LESS": os.environ.get("LESS", "FRX"), "LESSCHARSET": "utf-8"}
    try:
        pager = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, env=environment)  # noqa: S602 - the user's own
    except OSError:
        return False
    try:
        pager.communicate(text.encode(sys.stdout.encoding or "utf-8", "replace"))
    except (BrokenPipeError, KeyboardInterrupt):
        pager.wait()
    return pager.returncode != 127  # the shell's word for a command that is not there


def _encodable(encoding: str) -> bool:
    try:
        _NEEDED.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _closest(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return _transliterated(error.object[error.start : error.end]), error.end


def _transliterated(text: str) -> str:
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")
