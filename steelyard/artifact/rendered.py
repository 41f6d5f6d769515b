"""A report's files against the same report rendered anew: what differs, in which file and line, and what should be."""

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from steelyard.artifact.finding import Finding
from steelyard.tables.format import counted

_PICTURES = (".pdf", ".png", ".svg")
_DRAWN = re.compile(r"<svg\b.*?</svg>|data:image/[^\"')\s]+", re.DOTALL)
_GONE = "\0"
"""Stands for a line of a drawing that is left out; no report writes it."""
_WORD = re.compile(r"[^\s,;|&<>{}\[\]()\"$\\]+")
_MOST = 10
"""So many lines of a file are named; the rest is counted."""
_TOO_MANY = 2000
"""Above so many lines between the first and the last difference lines are not matched up."""
_NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d+(?:e[-+]?\d+)?(?![\w.])")
_ROUNDING = 1e-9
"""Numbers as far apart as this, relatively, may be the same sum on another CPU: an error of 1e-16 in a logarithm grows
by as much as a difference is smaller than its parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Whether what is compared was written by the same versions: of this program, of what draws, and of what the last
    digits of a logarithm depend on. `drawn` says whether pictures were drawn anew at all."""

    tool: str
    drawn: bool = True
    same_tool: bool = True
    same_drawing: bool = True
    same_arithmetic: bool = True

    @property
    def same_pictures(self) -> bool:
        """Whether pictures must be the same bytes."""
        return self.drawn and self.same_drawing and self.same_tool and self.same_arithmetic


def compare_files(
    found: Mapping[str, Path], expected: Mapping[str, bytes], versions: Versions, where: str = "report"
) -> Iterator[Finding]:
    """Every file of a folder against what the run gives; names are relative to the folder, `where` is its own."""
    equal = 0
    undrawn: list[str] = []
    rounded = 0
    for name, data in sorted(expected.items()):
        if name not in found:
            yield Finding(kind="wrong", where=name, text="the run gives this file, and it is not there")
            continue
        stands = found[name].read_bytes()
        if stands == data:
            equal += 1
        elif Path(name).suffix in _PICTURES:
            if versions.same_pictures:
                yield Finding(kind="wrong", where=name, text="the picture is not the one that the run gives")
            else:
                undrawn.append(name)
        else:
            differing = tuple(_text(name, stands, data, versions))
            equal += not differing
            rounded += not differing and not versions.same_arithmetic
            yield from differing
    if rounded:
        text = f"{counted(rounded, 'file')} from another numpy or CPU: compared but for the last digits ({_ROUNDING:g})"
        yield Finding(kind="note", where=where, text=text)
    if undrawn:
        why = "drawn by other versions" if versions.drawn else "not drawn anew (--no-figures)"
        text = f"{counted(len(undrawn), 'picture')} {why}: not compared, but for the data (CSV)"
        yield Finding(kind="note", where="figures", text=text)
    for name in sorted(set(found) - set(expected)):
        yield Finding(kind="untraced", where=name, text="no format of this report writes it")
    if equal:
        yield Finding(
            kind="holds",
            where=where,
            text=f"{counted(equal, 'file')} as the run gives {'it' if equal == 1 else 'them'}",
        )


def _text(name: str, stands: bytes, should: bytes, versions: Versions) -> Iterator[Finding]:
    try:
        texts = [data.decode() for data in (stands, should)]
    except UnicodeDecodeError:
        yield Finding(kind="wrong", where=name, text="its bytes are not those that the run gives")
        return
    with_drawings = versions.drawn and versions.same_drawing and versions.same_arithmetic
    (lines, numbers), (should_be, _) = (_lines(text, with_drawings=with_drawings) for text in texts)
    places = tuple(_places(lines, should_be))
    if not versions.same_arithmetic:
        places = tuple(place for place in places if not _rounded(*place[1:]))
    if not versions.same_tool and places:
        text = (
            f"written by steelyard {versions.tool}, and {len(places)} lines are others here, which may be its wording: "
            f"install steelyard=={versions.tool} to hold it against the run"
        )
        yield Finding(kind="untraced", where=name, text=text)
        return
    for number, old, new in places[:_MOST]:
        at = numbers[number - 1] if number <= len(numbers) else len(numbers)
        yield Finding(kind="wrong", where=f"{name}:{at}", text=_contrast(old, new))
    if len(places) > _MOST:
        yield Finding(kind="wrong", where=name, text=f"and {len(places) - _MOST} more lines")


def _lines(text: str, *, with_drawings: bool) -> tuple[list[str], Sequence[int]]:
    """The lines of a text, and the number of each in the file; without its drawings, which may take many of them."""
    if with_drawings:
        lines = text.splitlines()
        return lines, range(1, len(lines) + 1)
    lines, numbers, number = [], [], 1
    for line in _DRAWN.sub(lambda match: _GONE * match[0].count("\n"), text).split("\n"):
        lines.append(line.replace(_GONE, ""))
        numbers.append(number)
        number += 1 + line.count(_GONE)
    return lines, numbers


def _places(stands: list[str], should: list[str]) -> Iterator[tuple[int, str | None, str | None]]:
    """Number, text and right text of each line that differs; None for a line that is missing or one too many."""
    begin = 0
    while begin < min(len(stands), len(should)) and stands[begin] == should[begin]:
        begin += 1
    end = 0
    while end < min(len(stands), len(should)) - begin and stands[-1 - end] == should[-1 - end]:
        end += 1
    old, new = stands[begin : len(stands) - end], should[begin : len(should) - end]
    if len(old) == len(new):
        for offset, (one, other) in enumerate(zip(old, new, strict=True)):
            if one != other:
                yield begin + offset + 1, one, other
        return
    if max(len(old), len(new)) > _TOO_MANY:
        yield begin + 1, f"{len(old)} lines", f"{len(new)} lines"
        return
    for tag, i, j, k, m in difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        for offset in range(max(j - i, m - k)):
            line = old[i + offset] if i + offset < j else None
            other_line = new[k + offset] if k + offset < m else None
            yield begin + min(i + offset, j) + 1, line, other_line


def _rounded(stands: str | None, should: str | None) -> bool:
    """Whether two lines differ in nothing but the last digits of their numbers."""
    if stands is None or should is None or _NUMBER.sub("", stands) != _NUMBER.sub("", should):
        return False
    pairs = zip(_NUMBER.findall(stands), _NUMBER.findall(should), strict=True)
    return all(math.isclose(float(one), float(other), rel_tol=_ROUNDING) for one, other in pairs)


def _contrast(stands: str | None, should: str | None) -> str:
    """The words around the first character that differs, or the lines where one is missing."""
    if stands is None:
        return f"a line is missing: {_short(should or '')}"
    if should is None:
        return f"a line that the run does not give: {_short(stands)}"
    at = next(
        (place for place, (one, other) in enumerate(zip(stands, should, strict=False)) if one != other),
        min(len(stands), len(should)),
    )
    return f"stands {_word(stands, at)}, the run gives {_word(should, at)}"


def _word(line: str, at: int) -> str:
    found = next((match[0] for match in _WORD.finditer(line) if match.start() <= at < match.end()), None)
    if found is None:
        found = line[max(0, at - 10) : at + 20]
    return _short(found)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")
