"""The log ratio of two launches of one round: turn by turn where they took turns together."""

import math
from collections.abc import Mapping

import numpy as np

from steelyard.analysis.sides import PARTS, UNSTEADY, Launched, median
from steelyard.core.turn_rule import first_calls, spans


def log_ratio(before: Launched, after: Launched) -> float:
    """log(after / before): the median over the turns that both had of the log ratio of the two medians of that turn.

    What drifts more slowly than a turn touches both medians of a turn alike and leaves their ratio alone; the median
    over turns leaves out the turns that a burst hit. Launches one after the other have the ratio of their medians.
    """
    ratios = _by_turn(before, after)
    return median(ratios) if ratios else math.log(after.median / before.median)


def log_levels(before: Launched, after: Launched) -> tuple[float, float]:
    """The log ratio at the lowest and at the highest level that the two may stand for.

    Where one of two that took turns together has no steady state these are the extremes over the eighths of their
    turns: a level that both changed in the same turns is none of theirs. Else each launch may stand at an end of its
    own levels.
    """
    ratios = _by_turn(before, after)
    if not ratios:
        (low, high), (low_after, high_after) = before.levels, after.levels
        return math.log(low_after / high), math.log(high_after / low)
    if before.measurement.steady in UNSTEADY or after.measurement.steady in UNSTEADY:
        parts = [median(part) for part in np.array_split(ratios, PARTS) if part.size]
        return min(parts), max(parts)
    return (log_ratio(before, after),) * 2


def together(before: Launched, after: Launched) -> bool:
    """Whether two launches of a round took turns with each other: then their windows overlap in time."""
    (begin, end), (other_begin, other_end) = _window(before), _window(after)
    return begin < other_end and other_begin < end


def _by_turn(before: Launched, after: Launched) -> list[float]:
    if not (before.measurement.turns and after.measurement.turns and together(before, after)):
        return []
    one, other = _medians(before), _medians(after)
    return [math.log(other[turn] / one[turn]) for turn in one if turn in other]


def _medians(launch: Launched) -> Mapping[int, float]:
    """The median of each turn that has steady samples, by the turn's number."""
    found = launch.measurement
    values = np.asarray(found.samples, dtype=np.float64)
    counted = np.ones(len(values), dtype=bool)
    counted[: launch.cut] = False
    counted[list(first_calls(found.turns, len(values)))] = False
    return {
        number: median(values[begin:end][counted[begin:end]])
        for number, (begin, end) in enumerate(spans(found.turns, len(values)))
        if counted[begin:end].any()
    }


def _window(launch: Launched) -> tuple[float, float]:
    """Beginning and end of the window on the clock of its segment."""
    found = launch.measurement
    begun_s = found.begun_s or 0.0
    return begun_s, begun_s + found.starts_s[-1] + found.samples[-1]
