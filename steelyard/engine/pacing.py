"""The pace of one segment: what its rounds are seen to cost, how many the time holds, and how long windows are.

The cold round says what launches and calls take, each warm round says it again; after each the rest is planned anew.
"""

import math
import time
from collections.abc import Sequence

from steelyard.core.result import Result
from steelyard.engine.plan import Plan
from steelyard.engine.round_costs import after_cold, after_warm
from steelyard.engine.schedule import OVERTIME, Aim, RoundCosts, Schedule, fit
from steelyard.measure.driver import driver_of


class Pacing:
    """Windows and rounds of one segment. `windows` is seconds by point key, as long as asked for until time presses."""

    def __init__(self, plan: Plan, started_s: float) -> None:
        self._plan, self._started_s = plan, started_s
        self._costs: RoundCosts | None = None
        self._told: tuple[int, bool, bool] | None = None
        self._over_s = 0.0  # of the time that is exceeded, as it is planned
        aim = aim_of(plan)
        self.windows, self.minimum = aim.windows, aim.minimum

    def saw_cold(self, results: Sequence[Result], launches: int) -> None:
        """What the cold round says of warm ones that have so many launches a bundle."""
        self._costs = after_cold(self._plan, results, launches)

    def saw_warm(self, results: Sequence[Result], wall_s: float) -> None:
        """What a warm round that took so long says of the next."""
        self._costs = after_warm(self._plan, results, wall_s)

    def plan_on(self, done: int) -> str:
        """Share out what is left of the time, `done` rounds of this segment counting. What is to be told of it, if
        anything."""
        if self._plan.request.time_s is None or self._costs is None:
            return ""
        aim = aim_of(self._plan, done)
        self._over_s = 0.0
        if aim.rounds == 0:
            return ""
        found = fit(self._costs, aim, self.left_s(), overtime_s(self._plan))
        self.windows, self._over_s = found.windows, found.over_s
        told = (done + found.rounds, found.over_s > 0, found.missing_s > 0)
        if self._told is not None and told[0] >= self._told[0] and told[1:] == self._told[1:]:
            return ""
        self._told = told
        return shortened(self._plan, found, done)

    def left_s(self) -> float:
        """Of the time that the run was given, in seconds; infinite where it was given none."""
        limit = self._plan.request.time_s
        return float("inf") if limit is None else limit - (time.monotonic() - self._started_s)

    def holds_another(self, lasted_s: float) -> bool:
        """Whether another round may begin, which takes as long as is expected of it, or else as the last one did."""
        longer_s = overtime_s(self._plan) if self._over_s else 0.0
        return self.left_s() + longer_s >= (self.round_s or lasted_s)

    def remaining_s(self, done: int) -> float | None:
        """About how long the run has to go after `done` rounds of this segment that count: until the rounds that it
        plans for at least, or, where it has these or knows nothing of them yet, until its time is used up."""
        limit_s, to_go = self.left_s() + self._over_s, self._plan.minimum_rounds - done
        expected_s = to_go * self.round_s if to_go > 0 and self._costs is not None else limit_s
        found = min(limit_s, expected_s)
        return found if math.isfinite(found) else None

    @property
    def round_s(self) -> float:
        """What the next round is expected to take; 0 where nothing is known yet."""
        return 0.0 if self._costs is None else self._costs.round_s(self.windows, self.minimum)


def aim_of(plan: Plan, done: int = 0) -> Aim:
    """What a segment of a plan is to reach after `done` of its rounds."""
    return Aim(
        rounds=max(0, plan.minimum_rounds - done),
        fewest=max(0, plan.fewest_rounds - done),
        window_s=plan.request.window_s,
        minimum={point.key: driver_of(point).minimum_calls for point in plan.points},
        headline=[point.key for point in plan.points if point.workload == plan.suite.headline],
    )


def overtime_s(plan: Plan) -> float:
    """By how much the rounds that verdicts need may end after the time that was given."""
    return OVERTIME * (plan.request.time_s or 0.0)


def shortened(plan: Plan, found: Schedule, done: int = 0) -> str:
    """What a schedule made after `done` rounds of a segment falls short of, in a sentence; empty where all fits."""
    aim, before = aim_of(plan, done), plan.done + done
    if found.missing_s > 0:
        return (
            f"too little time for verdicts: they need {before + aim.fewest} rounds, and {before + found.rounds} fit; "
            f"{_minutes(found.missing_s)} more would do"
        )
    if found.over_s > 0:
        return f"the {before + found.rounds} rounds that verdicts need take {_minutes(found.over_s)} more than the time"
    windows = dict.fromkeys(f"{point.workload} {found.windows[point.key]:.2g} s" for point in plan.points)
    told = f"timed windows: {', '.join(windows)} (asked for: {aim.window_s:g} s)"
    if found.rounds < aim.rounds:
        each = _minutes(found.round_s)
        return f"{before + found.rounds} rounds fit the time instead of {before + aim.rounds}, each of {each}; {told}"
    if min(found.windows.values()) < aim.window_s:
        return f"for {before + found.rounds} rounds to fit the time, {told}"
    return ""


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.1f} min"
