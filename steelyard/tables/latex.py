r"""Text as LaTeX: every character escaped, nothing but ASCII left, so that pdflatex needs no further package."""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

_CHARACTERS: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\symbol{34}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # an opening bracket or a star after a line end would be its argument
    "]": "{]}",
    "*": "{*}",
    "\u00a0": "~",
    "\u202f": r"\,",
    "\u2009": r"\,",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "−": r"\ensuremath{-}",
    "×": r"\ensuremath{\times}",
    "÷": r"\ensuremath{\div}",
    "±": r"\ensuremath{\pm}",
    "·": r"\ensuremath{\cdot}",
    "°": r"\ensuremath{^{\circ}}",
    "²": r"\ensuremath{^{2}}",
    "³": r"\ensuremath{^{3}}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "≠": r"\ensuremath{\neq}",
    "≈": r"\ensuremath{\approx}",
    "∞": r"\ensuremath{\infty}",
    "→": r"\ensuremath{\rightarrow}",
    "←": r"\ensuremath{\leftarrow}",
    "↓": r"\ensuremath{\downarrow}",
    "✓": r"\ensuremath{\surd}",
    "✗": r"\ensuremath{\times}",
    "…": r"\dots{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "µ": r"\ensuremath{\mu}",
    "μ": r"\ensuremath{\mu}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "§": r"\S{}",
    "©": r"\copyright{}",
    "®": r"\textregistered{}",
    "™": r"\texttrademark{}",
}

_ACCENTS: Mapping[str, str] = {
    "\u0300": r"\`",
    "\u0301": r"\'",
    "\u0302": r"\^",
    "\u0303": r"\~",
    "\u0304": r"\=",
    "\u0306": r"\u",
    "\u0307": r"\.",
    "\u0308": r"\"",
    "\u030a": r"\r",
    "\u030b": r"\H",
    "\u030c": r"\v",
    "\u0323": r"\d",
    "\u0327": r"\c",
}

_BREAK = re.compile(r"\s*[\r\n\t]+\s*")
_TWICE = re.compile(r"([-,'])(?=\1)")
_BREAK_AFTER = frozenset("/_=,:;.-+")
LONGEST_UNBROKEN = 18
_CODE = "{[}U+"


# Tables say the same words over and over: each text is escaped once while it is among the last of this many.
REMEMBERED = 1 << 14


@lru_cache(REMEMBERED)
def escape(text: str) -> str:
    """A text as LaTeX that prints it: one line, ASCII only. What pdflatex has no glyph for is printed as its code
    point, e.g. `[U+4E2D]`, so that nothing vanishes."""
    spaced = _BREAK.sub(" ", text)
    return _unligatured("".join(_character(character) for character in spaced))


@lru_cache(REMEMBERED)
def breakable(text: str) -> str:
    """As `escape`, with places to break long words at: after punctuation but within a number, and every 18 characters
    of a run without any.

    For narrow columns that hold options, hashes and error messages.
    """
    spaced = _BREAK.sub(" ", text)
    parts: list[str] = []
    unbroken = 0
    for before, character, after in zip(f" {spaced}", spaced, f"{spaced[1:]} ", strict=False):
        width = breadth(character)
        if unbroken and character != " " and unbroken + width > LONGEST_UNBROKEN:
            parts.append(r"\allowbreak{}")
            unbroken = 0
        parts.append(_character(character))
        unbroken = 0 if character == " " else unbroken + width
        if character in _BREAK_AFTER and not (character in ".," and before.isdigit() and after.isdigit()):
            parts.append(r"\allowbreak{}")
            unbroken = 0
    return _unligatured("".join(parts))


def breadth(text: str) -> int:
    """How many characters a text is long in print, where some stand as their code points."""
    return len(text) if text.isascii() else sum(8 if _character(each).startswith(_CODE) else 1 for each in text)


def flowing(text: str) -> str:
    """As `escape`, for prose: only words longer than 18 characters get places to break at."""
    words = _BREAK.sub(" ", text).split(" ")
    return " ".join(breakable(word) if breadth(word) > LONGEST_UNBROKEN else escape(word) for word in words)


def letters(text: str) -> str:
    """A part of a macro name from any text: words capitalised, digits spelt out, everything else left away."""
    spelt = re.sub(r"[0-9]", lambda digit: f" {_DIGITS[int(digit[0])]} ", text)
    ascii_only = unicodedata.normalize("NFKD", spelt).encode("ascii", "ignore").decode()
    return "".join(word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z]+", ascii_only))


_DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def _unligatured(text: str) -> str:
    """Two hyphens, commas or quotes in a row stay what they are."""
    return _TWICE.sub(r"\1{}", text)


def _character(character: str) -> str:
    if character in _CHARACTERS:
        return _CHARACTERS[character]
    if " " <= character <= "~":
        return character
    kind, _, name = unicodedata.name(character, "").partition(" LETTER ")
    if kind == "GREEK SMALL" and name in _GREEK:
        return rf"\ensuremath{{\{_GREEK[name]}}}"
    if kind == "GREEK CAPITAL" and name in _GREEK_CAPITALS:
        return rf"\ensuremath{{\{_GREEK[name].capitalize()}}}"
    pair = unicodedata.normalize("NFD", character)
    if len(pair) == 2 and pair[0].isascii() and pair[1] in _ACCENTS:
        base = {"i": r"\i", "j": r"\j"}.get(pair[0], pair[0]) if pair[1] != "\u0327" else pair[0]
        return f"{_ACCENTS[pair[1]]}{{{base}}}"
    return f"{_CODE}{ord(character):04X}{{]}}"


_GREEK = {
    "LAMDA": "lambda",  # Unicode's spelling
    **{
        name.upper(): name
        for name in (
            *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "nu", "xi"),
            *("pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
        )
    },
}
_GREEK_CAPITALS = frozenset(("GAMMA", "DELTA", "THETA", "LAMDA", "XI", "PI", "SIGMA", "UPSILON", "PHI", "PSI", "OMEGA"))
