r"""Text as typst: markup that prints it as it is, and string literals for code. Files stay UTF-8, as typst reads it."""

import re
from functools import cache, lru_cache

from steelyard.core.visible import code_point, visible

BREAK = "\u200b"
"""Zero width space: a place to break a word at."""

LONGEST_UNBROKEN = 18
"""Characters of a word that a narrow column holds; a longer one may be broken, after punctuation where it has any."""

_MARKUP = re.compile(
    r"[\\`*_#$<>@\[\]~\"']"  # active wherever they stand
    r"|^[!-/:-@{|}^]"  # after `#super[a]` a bracket, dot or semicolon would belong to it; a sign would begin a list
    r"|(?<=/)/|/(?=/)"  # a comment, or the middle of a link
    r"|(?<![A-Za-z])-|-(?![A-Za-z])"  # dashes, the minus before digits, the soft hyphen
    r"|(?<=\.)\.|\.(?=\.)"  # an ellipsis
)
_NUMBERED = re.compile(r"^(\d+)\.(?= |$)")
_GLYPHS = (range(0x20, 0x500), range(0x1E00, 0x2400), range(0x2460, 0x2600), range(0x27C0, 0x2C00))
"""Latin, Greek, Cyrillic, punctuation, signs: what the typefaces inside typst 0.15 draw, but for a few rare signs."""
_GLYPHS_BESIDE = frozenset("✓✗")
_BREAK_AFTER = frozenset("/_=,:;.-+")


REMEMBERED = 1 << 14
"""Tables say the same words over and over: each text is escaped once while it is among the last of so many."""


@lru_cache(REMEMBERED)
def escape(text: str) -> str:
    """A text as markup that prints it, in one line. What shows nothing, turns the order of reading, or has no glyph in
    typst's own typefaces is printed as its code point, e.g. `[U+4E2D]`, so that nothing vanishes."""
    return _markup(_visible(text))


@lru_cache(REMEMBERED)
def breakable(text: str) -> str:
    """As `escape`, with places to break words of more than 18 characters at, for narrow columns."""
    return _markup(_broken(_visible(text)))


def literal(text: str) -> str:
    """A text as a string of typst's code, quotes included."""
    return _quoted(_visible(text))


def breakable_literal(text: str) -> str:
    """As `literal`, with such places."""
    return _quoted(_broken(_visible(text)))


def _visible(text: str) -> str:
    line = " ".join(text.split())
    return line if line.isascii() and line.isprintable() else "".join(map(_character, line))


@cache
def _character(character: str) -> str:
    drawn = character in _GLYPHS_BESIDE or any(ord(character) in codes for codes in _GLYPHS)
    return visible(character) if drawn else code_point(character)


def _broken(text: str) -> str:
    return " ".join(_word(word) if len(word) > LONGEST_UNBROKEN else word for word in text.split(" "))


def _word(word: str) -> str:
    parts: list[str] = []
    unbroken = 0
    for character in word[:-1]:
        parts.append(character)
        unbroken += 1
        if character in _BREAK_AFTER or unbroken >= LONGEST_UNBROKEN:
            parts.append(BREAK)
            unbroken = 0
    return "".join([*parts, word[-1]])


def _markup(text: str) -> str:
    safe = _NUMBERED.sub(r"\1\\.", _MARKUP.sub(r"\\\g<0>", text))
    return safe.replace(BREAK, r"\u{200b}")


def _quoted(text: str) -> str:
    safe = text.replace("\\", r"\\").replace('"', r"\"").replace(BREAK, r"\u{200b}")
    return f'"{safe}"'
