"""Labels that stand beside what they name: at the ends of lines, pushed apart where lines end close together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.render.style import INK, Look, shorts

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
    names = shorts(end.text for end in ends)
    for (end, _), height in zip(found, heights, strict=True):
        axis.text(_TEXT, height, names[end.text], transform=axis.transAxes, va="center", fontsize=look.small_pt,
                  color=INK)  # fmt: skip
    lines = [(place, (_LINE, height)) for (_, place), height in zip(found, heights, strict=True)]
    colours = [end.colour for end, _ in found]
    axis.add_collection(
        LineCollection(lines, colors=colours, linewidths=0.4, transform=axis.transAxes, clip_on=False), autolim=False
    )


Box = tuple[float, float, float, float]
"""Left, bottom, right and top, in widths and heights of the panel."""

Sides = tuple[tuple[float, float], ...]
RIGHT_FIRST: Sides = ((1, 0.5), (1, 0), (1, 1), (0.5, 1), (0.5, 0), (0, 0.5), (0, 1), (0, 0))
"""Where a label is tried: on which side of its mark it lies, across and upward; 0.5 is centred on it."""
BELOW_FIRST: Sides = ((0.5, 0), (1, 0), (0, 0), (1, 0.5), (0, 0.5), (0.5, 1), (1, 1), (0, 1))


def beside(axis: Any, ends: Sequence[End], marks: Sequence[Box], look: Look, size_in: tuple[float, float]) -> None:
    """Write each label next to its point, or all of them as `at_ends` where one has no free place there.

    `marks` are what labels must not cover, in data. The limits of the axes must be final; `size_in` is about the
    width and height of the panel.
    """
    convert = axis.transData + axis.transAxes.inverted()
    width, height = size_in
    names = shorts(end.text for end in ends)
    high = 1.1 * look.small_pt / 72 / height
    reach = 0.5 * look.size_pt / 72 / width, 0.5 * look.size_pt / 72 / height
    taken = []
    for left, bottom, right, top in marks:
        (x0, y0), (x1, y1) = convert.transform([(left, bottom), (right, top)]).tolist()
        taken.append((x0 - 0.8 * reach[0], y0 - 0.8 * reach[1], x1 + 0.8 * reach[0], y1 + 0.8 * reach[1]))
    points = [tuple(convert.transform((end.x, end.y)).tolist()) for end in ends]
    found = places(points, [(look.inches(len(names[end.text])) / width, high) for end in ends], taken, reach)
    if any(place is None for place in found):
        at_ends(axis, ends, look, height)
        return
    for end, place in zip(ends, found, strict=True):
        assert place is not None
        axis.text(place[0], place[1], names[end.text], transform=axis.transAxes, va="bottom", fontsize=look.small_pt,
                  color=INK)  # fmt: skip


def places(
    points: Sequence[tuple[float, ...]],
    sizes: Sequence[tuple[float, float]],
    taken: Sequence[Box],
    reach: tuple[float, float],
    sides: Sides = RIGHT_FIRST,
) -> list[Box | None]:
    """A box of each size beside its point, within the panel, that covers no other and nothing taken; None without."""
    boxes = list(taken)
    found: list[Box | None] = []
    for (x, y), (wide, high) in zip(points, sizes, strict=True):
        tried = []
        for across, up in sides:
            left = x - wide * (1 - across) + (2 * across - 1) * reach[0]
            bottom = y - high * (1 - up) + (2 * up - 1) * reach[1]
            tried.append((left, bottom, left + wide, bottom + high))
        free = (box for box in tried if _inside(box) and not any(_overlap(box, other) for other in boxes))
        chosen = next(free, None)
        found.append(chosen)
        if chosen is not None:
            boxes.append(chosen)
    return found


def _inside(box: Box) -> bool:
    return min(box) >= 0 and max(box) <= 1


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


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
