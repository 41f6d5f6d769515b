"""Labels that stand beside what they name: at the ends of lines, pushed apart where lines end close together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.tables.style import INK, Look, short

_TEXT, _LINE = 1.045, 1.032
"""Where labels begin and the lines to them end, in widths of the panel."""


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
    from matplotlib.collections import LineCollection

    if not ends:
        return
    convert = axis.transData + axis.transAxes.inverted()
    found = [(end, convert.transform((end.x, end.y)).tolist()) for end in ends]
    found.sort(key=lambda item: (item[1][1], item[0].text))
    heights = apart([y for _, (_, y) in found], 1.15 * look.small_pt / 72 / height_in)
    for (end, _), height in zip(found, heights, strict=True):
        axis.text(_TEXT, height, short(end.text), transform=axis.transAxes, va="center", fontsize=look.small_pt,
                  color=INK)  # fmt: skip
    lines = [(place, (_LINE, height)) for (_, place), height in zip(found, heights, strict=True)]
    colours = [end.colour for end, _ in found]
    axis.add_collection(
        LineCollection(lines, colors=colours, linewidths=0.4, transform=axis.transAxes, clip_on=False), autolim=False
    )


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
