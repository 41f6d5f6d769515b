"""The axis that every workload of single calls has: how many requests are under way at a time.

`--set streams=4` makes of each configuration one of which a call is four requests, begun at once, each with inputs and
outputs of its own; it ends with the last. The work of a call is that of all four.
"""

from collections.abc import Sequence
from dataclasses import replace

from steelyard.core.errors import UsageError
from steelyard.core.workload import STREAMS, Point, Selection, Suite
from steelyard.measure.driver import driver_of


def asked(suite: Suite, selection: Selection) -> tuple[int, ...]:
    """The numbers of streams; none where the axis is not set, or is the suite's own. Raises UsageError for what is no
    number from 1 on."""
    if STREAMS not in selection.axes or any(axis.name == STREAMS for axis in suite.axes):
        return ()
    texts = selection.axes[STREAMS]
    for text in texts:
        if not text.isdecimal() or int(text) < 1:
            raise UsageError(f"axis '{STREAMS}': '{text}' is no whole number from 1 on: how many requests at a time")
    return tuple(dict.fromkeys(map(int, texts)))


def without(selection: Selection) -> Selection:
    """What is left for the suite to know."""
    return replace(selection, axes={name: texts for name, texts in selection.axes.items() if name != STREAMS})


def spread(points: Sequence[Point], counts: Sequence[int]) -> tuple[Point, ...]:
    """Each point with each number of streams. Raises UsageError for one whose calls cannot be made side by side."""
    for point in points:
        if not driver_of(point).side_by_side:
            raise UsageError(
                f"axis '{STREAMS}': the calls of {point.workload} (driver {point.driver}) are made one after the "
                f"other; leave it out with --exclude {point.workload}, or choose others with --workload"
            )
    return tuple(_in_streams(point, count) for point in points for count in counts)


def _in_streams(point: Point, count: int) -> Point:
    work = point.work
    return replace(
        point,
        axes={**point.axes, STREAMS: count},
        settings={**point.settings, STREAMS: count},
        work=replace(work, flop=None if work.flop is None else count * work.flop, items=count * work.items),
    )
