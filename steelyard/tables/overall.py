"""What is said of many configurations at once: what it leaves out, in words, and how few are too few."""

from collections.abc import Iterator, Mapping

from steelyard.tables.facts import Facts

LEAST_POINTS = 8
"""Configurations below which shares of them are not shown: a share of fewer moves in steps of more than an eighth."""
_ALIKE = 3
"""So many points are named that were left out for one reason."""


def approximations(facts: Facts, approximate: Mapping[str, str]) -> Iterator[str]:
    """That the work was not equal at some of the points that count, one line for each reason; by their titles."""
    labels = {point.title: facts.label(point) for point in facts.points}
    for points, reason in left_out({labels[title]: why for title, why in approximate.items()}):
        yield f"on {points} {reason}"


def left_out(reasons: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Points and the reason that they were left out for, each reason once; `reasons` are by the titles of points."""
    for reason in dict.fromkeys(reasons.values()):
        titles = [title for title, why in reasons.items() if why == reason]
        more = f" and {len(titles) - _ALIKE} more" if len(titles) > _ALIKE else ""
        yield f"{', '.join(titles[:_ALIKE])}{more}", reason
