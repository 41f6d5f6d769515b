"""How figures look: sizes and typeface, a style per backend that works in grey, settings that make files repeatable."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FONT = "DejaVu Sans"
"""Comes with matplotlib, so that the same matplotlib gives the same figure on every machine."""

SIZE_PT = 6.5
"""Size of labels that lengths and line widths below are made for; another size scales them all."""

_EM = 0.58
"""Width of a typical character of DejaVu Sans as a share of its size."""

_NARROW = {"STIXGeneral": 0.8}
"""Width of other typefaces over that of DejaVu Sans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Sizes of a set of figures in inches, and their type. A figure takes all lengths from here.

    `column_in` is the width of an ordinary figure and `full_in` that of one that needs the whole page;
    `height_in` is what a page holds. The default is made for one column of a two-column paper.
    """

    column_in: float = 3.3
    full_in: float = 6.5
    height_in: float = 8.0
    size_pt: float = SIZE_PT
    font: str = FONT

    @property
    def scale(self) -> float:
        """What lengths made for `SIZE_PT` are multiplied by."""
        return self.size_pt / SIZE_PT

    @property
    def small_pt(self) -> float:
        """Size of values beside marks, ticks and keys."""
        return self.size_pt * 6 / 6.5

    @property
    def across(self) -> int:
        """How many panels stand beside each other in a column."""
        return max(1, int(self.column_in / (2.65 * self.scale * _NARROW.get(self.font, 1.0))))

    def characters(self, width_in: float) -> int:
        """About how many characters of a label fit into a width."""
        return int(width_in * 72 / (self.size_pt * _EM * _NARROW.get(self.font, 1.0)))

    def inches(self, characters: float) -> float:
        """About how wide a label of so many characters is."""
        return characters * self.size_pt * _EM * _NARROW.get(self.font, 1.0) / 72

    @property
    def settings(self) -> Mapping[str, Any]:
        """matplotlib's settings."""
        sized = {name: value * self.scale for name, value in _SIZES.items()}
        # The second face is asked glyph by glyph for what the first lacks.
        family = list(dict.fromkeys((self.font, FONT)))
        return {**_FIXED, **sized, "font.family": family}


_SIZES: Mapping[str, float] = {
    "font.size": 6.5,
    "axes.titlesize": 7,
    "axes.titlepad": 3,
    "axes.labelsize": 6.5,
    "axes.labelpad": 2,
    "axes.linewidth": 0.5,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.major.size": 2,
    "xtick.major.pad": 2,
    "ytick.major.pad": 2,
    "lines.linewidth": 1.0,
    "lines.markersize": 4,
    "patch.linewidth": 0.5,
    "hatch.linewidth": 0.5,
    "legend.fontsize": 6,
}

_FIXED: Mapping[str, Any] = {
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "legend.frameon": False,
    "text.usetex": False,
    "text.parse_math": False,  # names of backends and workloads are text, whatever they contain
    "figure.dpi": 300,  # layout measures text at the resolution that it is saved in: hinting rounds advances
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType; the default Type 3 is refused by most venues
    "pdf.compression": 6,
    "svg.fonttype": "path",
    "svg.hashsalt": "steelyard",
}

INK = "#222222"
FAINT = "#767676"
GRID = "#dddddd"
BAND = "#ececec"
TIE = "#d0d0d0"

_COLOURS = ("#E69F00", "#0072B2", "#56B4E9", "#D55E00", "#CC79A7", "#C9B71D", "#009E73")
_HATCHES = ("////", "....", "\\\\\\\\", "xxxx", "||||", "----", "oooo")
_MARKERS = ("s", "^", "D", "v", "P", "X", "p")
_LINES = ("--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)), (0, (1, 1)), (0, (6, 2)))
BASELINE_COLOUR = "#5f5f5f"
_PLACES = ("onnxruntime", "openvino", "inductor", "xla")
"""Backends with a place of their own in the palette."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmStyle:
    """Colour (after Okabe and Ito), hatch, marker and line of one backend; each of the last three tells it in grey."""

    colour: str
    hatch: str
    marker: str
    line: Any


def arm_styles(arms: Sequence[str], baseline: str) -> dict[str, ArmStyle]:
    """A style for every arm: grey and plain for the baseline, a place in the palette for each of the others.

    Neighbours of the palette differ in lightness and for eyes that see no red or no green. After seven backends the
    colours repeat with the next hatch, marker and line, so that pairs stay distinct.
    """
    places = _places([arm for arm in arms if arm != baseline])
    styles: dict[str, ArmStyle] = {}
    for arm in arms:
        if arm == baseline:
            styles[arm] = ArmStyle(colour=BASELINE_COLOUR, hatch="", marker="o", line="-")
            continue
        turn, index = divmod(places[arm], len(_COLOURS))
        shift = (index + turn) % len(_COLOURS)
        styles[arm] = ArmStyle(
            colour=_COLOURS[index], hatch=_HATCHES[shift], marker=_MARKERS[shift], line=_LINES[shift]
        )
    return styles


def _places(arms: Sequence[str]) -> dict[str, int]:
    """Where each arm stands in the palette: a known backend in its own place, whichever others ran, so that the
    figures of several runs in one paper agree; all else in the places that are free, in order."""
    found: dict[str, int] = {}
    for arm in arms:
        name = re.split(r"[:\[ ]", arm, maxsplit=1)[0]
        if name in _PLACES and (place := _PLACES.index(name)) not in found.values():
            found[arm] = place
    free = (place for place in itertools.count() if place not in found.values())
    for arm in arms:
        if arm not in found:
            found[arm] = next(free)
    return found


def shorts(labels: Iterable[str], length: int = 18) -> dict[str, str]:
    """Each of these labels as `short` cuts it; those that would look the same are cut where they differ instead."""
    found = {label: short(label, length) for label in labels}
    for text in _doubled(found):
        alike = [label for label in found if found[label] == text]
        differs = next((at for at, letters in enumerate(zip(*alike, strict=False)) if len(set(letters)) > 1), length)
        found.update({label: _cut_at(label, differs, length) for label in alike})
    for text in _doubled(found):  # they differ in several places, far apart
        alike = [label for label in found if found[label] == text]
        found.update({label: f"{text[: length - 3]} {number}" for number, label in enumerate(alike, 1)})
    return found


def _doubled(found: Mapping[str, str]) -> list[str]:
    texts = list(found.values())
    return [text for text in dict.fromkeys(texts) if texts.count(text) > 1]


def _cut_at(label: str, place: int, length: int) -> str:
    """The beginning of a label and what stands from `place` on."""
    if len(label) <= length:
        return label
    head = length // 3
    room = length - head - 1
    begin = min(max(head, place - 1), len(label) - room)
    tail = label[begin : begin + room]
    return f"{label[:head]}…{tail if begin + room == len(label) else tail[:-1] + '…'}"


def short(label: str, length: int = 18) -> str:
    """A label cut in its middle where it is too long for an axis; the table beside the figure has it whole."""
    if len(label) <= length:
        return label
    tail = (length - 1) // 3
    return f"{label[: length - 1 - tail]}…{label[-tail:]}"
