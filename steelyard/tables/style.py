"""How figures look: a style per backend that works in grey, sizes, and settings that make files repeatable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COLUMN_WIDTH_IN = 3.3
"""Width of one column of a two-column paper in inches (ICML 3.25, ACM 3.33, IEEE 3.5): figures are made for it."""

FONT = "DejaVu Sans"
"""Comes with matplotlib, so that the same matplotlib gives the same figure on every machine."""

RC: Mapping[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": [FONT],
    "font.size": 6.5,
    "axes.titlesize": 7,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 3,
    "axes.labelsize": 6.5,
    "axes.labelpad": 2,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
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
    "legend.frameon": False,
    "legend.fontsize": 6,
    "text.usetex": False,
    "text.parse_math": False,  # names of backends and workloads are text, whatever they contain
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType; the default Type 3 is refused by most venues
    "pdf.compression": 6,
    "svg.fonttype": "path",
    "svg.hashsalt": "steelyard",
}

INK = "#222222"
FAINT = "#8a8a8a"
GRID = "#dddddd"
BAND = "#ececec"

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
_HATCHES = ("////", "....", "\\\\\\\\", "xxxx", "||||", "----", "oooo")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)), (0, (1, 1)))
BASELINE_COLOUR = "#6b6b6b"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmStyle:
    """Colour (Okabe-Ito), hatch, marker and line of one backend; any one of the last three tells it apart in grey."""

    colour: str
    hatch: str
    marker: str
    line: Any


def arm_styles(arms: Sequence[str], baseline: str) -> dict[str, ArmStyle]:
    """A style for every arm: grey and plain for the baseline, the palette in order for the others.

    After seven backends the colours repeat with the next hatch, marker and line, so that pairs stay distinct.
    """
    styles: dict[str, ArmStyle] = {}
    position = 0
    for arm in arms:
        if arm == baseline:
            styles[arm] = ArmStyle(colour=BASELINE_COLOUR, hatch="", marker="o", line="-")
            continue
        turn, index = divmod(position, len(_COLOURS))
        shift = (index + turn) % len(_COLOURS)
        styles[arm] = ArmStyle(
            colour=_COLOURS[index],
            hatch=_HATCHES[shift],
            marker=_MARKERS[(shift + 1) % len(_MARKERS)],
            line=_LINES[(shift + 1) % len(_LINES)],
        )
        position += 1
    return styles


def short(label: str, length: int = 18) -> str:
    """A label cut in its middle where it is too long for an axis; the table beside the figure has it whole."""
    if len(label) <= length:
        return label
    tail = (length - 1) // 3
    return f"{label[: length - 1 - tail]}…{label[-tail:]}"
