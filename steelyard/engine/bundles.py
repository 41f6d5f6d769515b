"""Bundles: which points a launch runs, one after the other."""

from collections.abc import Sequence
from itertools import chain

from steelyard.core.workload import Point, Suite

Bundle = tuple[Point, ...]


def together_of(suite: Suite, *, timed: bool) -> int:
    """How many models share a launch: as the suite says, where calls are timed. Elsewhere a launch is cold for its
    first model alone, or a crash would take the answers of others along."""
    return suite.together if timed else 1


def bundles_of(points: Sequence[Point], together: int) -> tuple[Bundle, ...]:
    """The points in order, by launch: those of one model, whose weights it loads once, or of so many models `together`.
    All points of a launch have the same number of streams."""
    alike: dict[int, dict[tuple[str, ...], list[Point]]] = {}
    for point in points:
        alike.setdefault(point.streams, {}).setdefault(tuple(point.weights), []).append(point)
    return tuple(
        tuple(chain.from_iterable(models[first : first + together]))
        for models in map(list, map(dict.values, alike.values()))
        for first in range(0, len(models), together)
    )
