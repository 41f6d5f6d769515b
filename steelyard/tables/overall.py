"""What a mean over workload points leaves out, in words."""

from collections.abc import Iterator, Mapping

from steelyard.analysis import Overall
from steelyard.tables.facts import Facts

_ALIKE = 3
"""So many points are named that were left out for one reason."""


def approximations(facts: Facts, item: Overall) -> Iterator[str]:
    """That the mean of an arm has points at which the work was not equal, one line for each reason."""
    labels = {point.title: facts.label(point) for point in facts.points}
    for points, reason in left_out({labels[title]: why for title, why in item.approximate.items()}):
        yield f"on {points} {reason}"


def left_out(reasons: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Points and the reason that they were left out for, each reason once; `reasons` are by the titles of points."""
    for reason in dict.fromkeys(reasons.values()):
        titles = [title for title, why in reasons.items() if why == reason]
        more = f" and {len(titles) - _ALIKE} more" if len(titles) > _ALIKE else ""
        yield f"{', '.join(titles[:_ALIKE])}{more}", reason
