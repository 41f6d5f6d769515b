"""How the time that is left is shared out: how many warm rounds, and how long each workload's windows.

Rounds come first, because a verdict rests on their number, then the windows of the headline, then all others.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

SHORTEST_WINDOW_S = 1.0
"""A window is not made shorter to fit the time; one that was asked for may be."""
OVERTIME = 0.2
"""Of the time that was given: by so much the rounds that verdicts need may end later. Without them all is in vain that
the time was spent on."""
_STEPS = 40  # of a bisection: a window is known to far less than a clock tick


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundCosts:
    """What a warm round takes: `launches_s` seconds for all that is no timed call, and a call as many as `calls` says
    by launch and point key."""

    launches_s: float
    calls: Mapping[tuple[str, str], float]

    def timed_s(self, windows: Mapping[str, float], minimum: Mapping[str, int]) -> float:
        """The timed windows of a round: each lasts as long as `windows` says by point key or as its `minimum` calls
        take, and half a call longer, for the call under way is not cut."""
        return sum(
            max(windows[point], minimum[point] * call_s) + call_s / 2 for (_, point), call_s in self.calls.items()
        )

    def round_s(self, windows: Mapping[str, float], minimum: Mapping[str, int]) -> float:
        """A whole warm round."""
        return self.launches_s + self.timed_s(windows, minimum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """`rounds` still to come, each of `round_s` seconds; `windows` is seconds by point key.

    `over_s` is how much longer than the time that is left they take, which the fewest rounds that can carry a verdict
    may. `missing_s` is how much more time these would need; 0 where they fit or may end later.
    """

    rounds: int
    round_s: float
    windows: Mapping[str, float]
    over_s: float
    missing_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a run is to reach: `rounds` warm rounds if they fit the time and no less than `fewest`, below which there is
    no verdict; windows of `window_s`. `minimum` is the fewest calls of a window by point key, `headline` the keys of
    the points that come first."""

    rounds: int
    fewest: int
    window_s: float
    minimum: Mapping[str, int]
    headline: Collection[str]

    @property
    def windows(self) -> Mapping[str, float]:
        """As they were asked for."""
        return dict.fromkeys(self.minimum, self.window_s)


def fit(costs: RoundCosts, aim: Aim, left_s: float, overtime_s: float = 0.0) -> Schedule:
    """The schedule for the time that is left: as many of the rounds as it holds with windows that are not too short,
    and these windows as long as it allows. The fewest rounds that can carry a verdict may take `overtime_s` more."""
    shortest = min(aim.window_s, SHORTEST_WINDOW_S)
    windows = dict.fromkeys(aim.minimum, shortest)
    least_s = costs.round_s(windows, aim.minimum)
    held = max(0, int(left_s / least_s)) if least_s > 0 else aim.rounds
    rounds = min(aim.rounds, held)
    missing_s = max(0.0, aim.fewest * least_s - left_s) if aim.fewest else 0.0
    over_s = missing_s if missing_s <= overtime_s else 0.0
    if over_s:
        return Schedule(rounds=aim.fewest, round_s=least_s, windows=windows, over_s=over_s, missing_s=0.0)
    if rounds:
        others = [key for key in aim.minimum if key not in aim.headline]
        for keys in (aim.headline, others):
            windows = _widened(costs, aim, windows, [key for key in keys if key in windows], left_s / rounds)
    round_s = costs.round_s(windows, aim.minimum)
    return Schedule(rounds=rounds, round_s=round_s, windows=windows, over_s=0.0, missing_s=missing_s)


def _widened(
    costs: RoundCosts, aim: Aim, windows: Mapping[str, float], keys: Collection[str], room_s: float
) -> dict[str, float]:
    """The windows of these points as long as a round of `room_s` allows, all of them alike, the others as they are."""

    def at(window_s: float) -> dict[str, float]:
        return {**windows, **dict.fromkeys(keys, window_s)}

    if costs.round_s(at(aim.window_s), aim.minimum) <= room_s:
        return at(aim.window_s)
    low, high = min((windows[key] for key in keys), default=aim.window_s), aim.window_s
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if costs.round_s(at(middle), aim.minimum) <= room_s else (low, middle)
    return at(low)
