"""Text of others as it may be shown: nothing in it is hidden, moves the cursor or turns the order of reading."""

import re
from collections.abc import Callable

_HIDDEN = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Controls, formats (marks of direction, characters without width), surrogates, line separators, letters that are
blank, and code points kept for the like."""
_FLAT = re.compile(f"[{_HIDDEN}]")
_LINES = re.compile(f"(?!\n)[{_HIDDEN}]")


def code_point(character: str) -> str:
    """A character that cannot be shown itself, e.g. `[U+4E2D]`."""
    return f"[U+{ord(character):04X}]"


def visible(text: str, *, lines: bool = False, stand_in: Callable[[str], str] = code_point) -> str:
    """The text with what stands in for hidden characters, their code points by default; `lines` keeps ends of lines."""
    if text.isprintable() and text.isascii():
        return text
    return (_LINES if lines else _FLAT).sub(lambda found: stand_in(found[0]), text)
