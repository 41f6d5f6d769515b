"""Labels that stand beside what they name: at the ends of lines, pushed apart where lines end close together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.tables.style import INK, Look, short


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The last point of a line, in data, with what is to be written there."""

    text: str
    x: float
    y: float
    colour: str


def at_ends(axis: Any, ends: Sequence[End], look: Look, height_in: float) -> None:
    """Write each label to the right of the panel, as high as its line ends, with a thin line to it.

    The limits of the axes must be final. `height_in` is the height of the panel, roughly.
    """
    if not ends:
        return
    convert = axis.transData + axis.transAxes.inverted()
    placed = sorted(ends, key=lambda end: (convert.transform((end.x, end.y))[1], end.text))
    heights = [float(convert.transform((end.x, end.y))[1]) for end in placed]
    for end, height in zip(placed, apart(heights, 1.15 * look.small_pt / 72 / height_in), strict=True):
        lead = {"arrowstyle": "-", "lw": 0.4, "color": end.colour, "relpos": (0, 0.5), "shrinkA": 0, "shrinkB": 1}
        axis.annotate(short(end.text), (end.x, end.y), (1.045, height), textcoords="axes fraction", va="center",
                      fontsize=look.small_pt, color=INK, arrowprops=lead)  # fmt: skip


def apart(heights: Sequence[float], least: float) -> list[float]:
    """Heights from 0 to 1, ascending, moved so that neighbours keep `least` between them, within 0 and 1 if they can.

    Labels that touch are one block, which stands in the middle of what its members want.
    """
    blocks: list[list[float]] = []  # the heights that the members want, the lowest first
    starts: list[float] = []
    for height in heights:
        blocks.append([height])
        starts.append(height)
        while len(blocks) > 1 and starts[-2] + least * len(blocks[-2]) > starts[-1]:
            blocks[-2:] = [blocks[-2] + blocks[-1]]
            wanted = blocks[-1]
            middle = sum(want - least * place for place, want in enumerate(wanted)) / len(wanted)
            starts[-2:] = [middle]
    placed = [start + least * place for block, start in zip(blocks, starts, strict=True) for place in range(len(block))]
    for place in reversed(range(len(placed))):
        placed[place] = min(placed[place], 1.0 - least * (len(placed) - 1 - place))
    for place in range(len(placed)):
        placed[place] = max(placed[place], least * place)
    return placed
