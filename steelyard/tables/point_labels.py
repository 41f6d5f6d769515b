"""Names of configurations: by the axes on which they differ, and what they have in common."""

from collections.abc import Iterable, Mapping, Sequence

from steelyard.core.workload import Point


def varying(points: Sequence[Point]) -> tuple[str, ...]:
    """The axes on which these points differ."""
    names = dict.fromkeys(name for point in points for name in point.axes)
    return tuple(name for name in names if len({str(point.axes.get(name)) for point in points}) > 1)


def constant(points: Sequence[Point]) -> str:
    """The axes on which they agree, as `name=value` words."""
    apart = set(varying(points))
    return " ".join(f"{name}={value}" for name, value in points[0].axes.items() if name not in apart)


def labels(points: Iterable[Point]) -> Mapping[str, str]:
    """By key the shortest name that tells a point from the others: its workload, and the axes on which the points of
    that differ."""
    by_workload: dict[str, list[Point]] = {}
    for point in points:
        by_workload.setdefault(point.workload, []).append(point)
    found: dict[str, str] = {}
    for workload, alike in by_workload.items():
        names = varying(alike)
        for point in alike:
            settings = (f"{name}={point.axes[name]}" for name in names if name in point.axes)
            found[point.key] = " ".join([workload, *settings])
    return found
