"""How long lowering will take: what its missing steps cost, and how many processes share them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.core.workload import Point
from steelyard.lowering.cache import Cache
from steelyard.lowering.costs import LoweringCosts
from steelyard.lowering.request import POOL
from steelyard.lowering.side_by_side import side_by_side
from steelyard.lowering.steps import REFERENCES, WEIGHTS, Step, missing, steps_of

_START_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Seconds from beginning to end, and of each kind of step by itself: with several `processes` these overlap."""

    seconds: float
    processes: int
    terms: Mapping[str, float]


def expected(
    points: Sequence[Point], formats: Sequence[str], cache: Cache, *, platform: str, pool: int = POOL
) -> Expected:
    """For what is missing of these points and formats in this cache."""
    return of_steps(missing(steps_of(points, formats, platform=platform, pool=pool), cache), LoweringCosts(cache.root))


def of_steps(steps: Sequence[Step], costs: LoweringCosts, processes: int | None = None) -> Expected:
    """For these steps. All wait for the weights; then references are made one after the other, and formats beside."""
    if not steps:
        return Expected(seconds=0.0, processes=1, terms={})
    count = processes or side_by_side(steps).processes
    terms: dict[str, float] = defaultdict(float)
    for step in steps:
        terms[step.makes if step.makes in (WEIGHTS, REFERENCES) else f"lower {step.makes}"] += costs.expected_s(step)
    after = {name: seconds for name, seconds in terms.items() if name != WEIGHTS}
    together = max(sum(after.values()) / count, after.get(REFERENCES, 0.0))
    return Expected(seconds=_START_S + terms.get(WEIGHTS, 0.0) + together, processes=count, terms=dict(terms))
