"""The pace of one segment: what its rounds are seen to cost, how many the time holds, and how long windows are.

The cold round says what launches and calls take, each warm round says it again; after each the rest is planned anew.
"""

import math
import time
from collections.abc import Mapping, Sequence

from steelyard import plugins
from steelyard.core.result import Result
from steelyard.engine.metering import metering_s
from steelyard.engine.plan import Plan
from steelyard.engine.schedule import MINIMUM_CALLS, Aim, Costs, Schedule, fit

# What a warm launch takes beside the phases that the cold one has shown: as seen on the suite llm.
_COMPILED_AGAIN = 0.3  # of the cold compile time, where the runtime keeps a cache on disk
_LAUNCH_S = 1.0  # the process and the looks at the machine before and after it
_CASE_S = 0.3  # inputs and references read, outputs checked
_CALLS_A_CASE = 2  # outside the window: those with inputs it has not seen


class Pacing:
    """Windows and rounds of one segment. `windows` is seconds by point key, as long as asked for until time presses."""

    def __init__(self, plan: Plan, started_s: float) -> None:
        self._plan, self._started_s = plan, started_s
        self._points = {(arm.label, plan.case(arm, point).id): point.key for arm in plan.arms for point in plan.points}
        self._costs: Costs | None = None
        self._schedule: Schedule | None = None
        self._told: tuple[int, bool] | None = None
        self.windows = self._aim(0).windows
        self.minimum = self._aim(0).minimum

    def saw_cold(self, results: Sequence[Result]) -> None:
        """What the cold round says of warm ones."""
        plan = self._plan
        calls = {
            (result.arm, point): result.phases["second_run_s"]
            for result in results
            if (point := self._points.get((result.arm, result.case_id))) and "second_run_s" in result.phases
        }
        keeps = {arm.label: bool(plugins.runner(arm.backend.runner).keeps_cache) for arm in plan.arms}
        phases_s = sum(
            seconds * (_COMPILED_AGAIN if name == "compile_s" and keeps[result.arm] else 1.0)
            for result in results
            for name, seconds in result.phases.items()
        )
        case_s = _CASE_S + metering_s(plan.request.energy, plan.request.device)
        launches = len({result.launch for result in results if result.phases})
        launches_s = phases_s + launches * _LAUNCH_S + sum(case_s + _CALLS_A_CASE * call_s for call_s in calls.values())
        self._costs = Costs(launches_s=launches_s, calls=calls)

    def saw_warm(self, results: Sequence[Result], wall_s: float) -> None:
        """What a warm round that took so long says of the next."""
        windows_s, calls = 0.0, dict(self._costs.calls) if self._costs else {}
        for result in results:
            point, latency = self._points.get((result.arm, result.case_id)), result.measurement("latency_s")
            if point is not None and latency is not None and len(latency.samples):
                window_s = float(result.details["window_s"])
                windows_s += window_s
                calls[result.arm, point] = window_s / len(latency.samples)
        self._costs = Costs(launches_s=max(0.0, wall_s - windows_s), calls=calls)

    def plan_on(self, done: int) -> str:
        """Share out what is left of the time, `done` rounds of this segment counting. What is to be told of it, if
        anything."""
        if self._plan.request.time_s is None or self._costs is None:
            return ""
        aim = self._aim(done)
        if aim.rounds == 0:
            return ""
        done += self._plan.done
        found = fit(self._costs, aim, self.left_s())
        self._schedule, self.windows = found, found.windows
        told = (done + found.rounds, found.missing_s > 0)
        if self._told is not None and told[0] >= self._told[0] and told[1] == self._told[1]:
            return ""
        self._told = told
        return self._said(found, aim, done)

    def left_s(self) -> float:
        """Of the time that the run was given, in seconds; infinite where it was given none."""
        limit = self._plan.request.time_s
        return float("inf") if limit is None else limit - (time.monotonic() - self._started_s)

    def remaining_s(self, done: int) -> float | None:
        """About how long the run has to go after `done` rounds of this segment that count: until the rounds that it
        plans for at least, or, where it has these or knows nothing of them yet, until its time is used up."""
        limit_s, to_go = self.left_s(), self._plan.minimum_rounds - done
        expected_s = to_go * self.round_s if to_go > 0 and self._costs is not None else limit_s
        found = min(limit_s, expected_s)
        return found if math.isfinite(found) else None

    @property
    def round_s(self) -> float:
        """What the next round is expected to take; 0 where nothing is known yet."""
        return 0.0 if self._costs is None else self._costs.round_s(self.windows, self.minimum)

    def _aim(self, done: int) -> Aim:
        plan = self._plan
        return Aim(
            rounds=max(0, plan.minimum_rounds - done),
            fewest=max(0, plan.fewest_rounds - done),
            window_s=plan.request.window_s,
            minimum={point.key: MINIMUM_CALLS[point.driver] for point in plan.points},
            headline=[point.key for point in plan.points if point.workload == plan.suite.headline],
        )

    def _said(self, found: Schedule, aim: Aim, done: int) -> str:
        if found.missing_s > 0:
            return (
                f"too little time for verdicts: they need {done + aim.fewest} rounds, and {done + found.rounds} fit; "
                f"{_minutes(found.missing_s)} more would do"
            )
        windows = self._windows(found.windows)
        if found.rounds < aim.rounds:
            return (
                f"{done + found.rounds} rounds fit the time instead of {done + aim.rounds}, each of "
                f"{_minutes(found.round_s)}; {windows}"
            )
        if min(found.windows.values()) < aim.window_s:
            return f"for {done + found.rounds} rounds to fit the time, {windows}"
        return ""

    def _windows(self, windows: Mapping[str, float]) -> str:
        parts = dict.fromkeys(f"{point.workload} {windows[point.key]:.2g} s" for point in self._plan.points)
        return f"timed windows: {', '.join(parts)} (asked for: {self._plan.request.window_s:g} s)"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.1f} min"
