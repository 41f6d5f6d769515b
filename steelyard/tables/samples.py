"""Single calls as figures show them: few enough to draw, with what was left out stated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from steelyard.core.result import Place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
else:
    Floats = Any


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LaunchCalls:
    """The calls of one launch, in time order.

    `column` is the round and group in which it ran. `places` say when each call began, from 0 (the first call) to 1
    (the last). `over_middle` is its time over the arm's estimate of the latency, and `median` that of the launch's
    steady calls, None where it gave none. `warm_up` is the place up to which calls count as warm-up. `total` counts the
    launch's calls, drawn or not.
    """

    arm: str
    column: Place
    position: int
    places: Floats
    values_s: Floats
    over_middle: Floats
    median: float | None
    warm_up: float
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Every launch of the headline workload's first point. A column is a round, or a group of one.

    `contaminated` rounds have times that count nowhere, `resumed` ones begin a later segment, `failed` says how
    launches without samples ended, by arm and column. `kept` of `total` calls are here: of long launches the lowest and
    the highest call of each stretch.
    """

    point: str
    arms: tuple[str, ...]
    columns: tuple[Place, ...]
    launches: tuple[LaunchCalls, ...]
    middles_s: Mapping[str, float]
    contaminated: frozenset[int] = frozenset()
    resumed: frozenset[int] = frozenset()
    failed: Mapping[tuple[str, Place], str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Calls that were timed."""
        return sum(launch.total for launch in self.launches)

    @property
    def kept(self) -> int:
        """Calls that are here."""
        return sum(len(launch.values_s) for launch in self.launches)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Distribution:
    """The steady calls of one arm at one point: `shares[i]` of them took at most `values_s[i]`, both ascending.

    Each launch counts equally, however many calls it made. `calls` were timed; the steps are thinned where they are
    more than a line can show, the slowest calls last.
    """

    arm: str
    point: str
    values_s: Floats
    shares: Floats
    calls: int
    launches: int

    def quantile(self, share: float) -> float:
        """The time that this share of the calls did not exceed [s]."""
        return float(self.values_s[min(int(self.shares.searchsorted(share)), len(self.values_s) - 1)])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calls:
    """Single calls of a run. `reason` says why there are none; `points` counts those that have a distribution."""

    timeline: Timeline | None = None
    distributions: tuple[Distribution, ...] = ()
    points: int = 0
    reason: str = "no samples were read"
