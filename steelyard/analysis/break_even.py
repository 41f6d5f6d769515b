"""After how many calls a backend has made good its longer start."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from steelyard.analysis.sides import Side, Sides, sides_of
from steelyard.analysis.summary import locations
from steelyard.core.comparison import Estimate
from steelyard.core.run import Run
from steelyard.stats.hodges_lehmann import one_sample

LATENCY = "latency_s"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """The number of calls after which an arm at a point is ahead of the baseline; None with the reason.

    calls = (S_arm - S_baseline) / (L_baseline - L_arm), S being compile_s + first_run_s in that state
    (cold: empty caches) and L the latency of a steady call; 0 where the arm starts no later. A point
    estimate: it knows no noise floor, and says nothing where the verdict on latency is not `faster`.
    """

    arm: str
    point: str
    state: Literal["cold", "warm"]
    calls: float | None
    reason: str = ""


def break_even(run: Run, *, sides: Sides | None = None) -> tuple[BreakEven, ...]:
    """Every arm but baseline and control, at every point, cold and warm; `sides` is the run's index if at hand."""
    sides = sides or sides_of(run)
    states: tuple[Literal["cold", "warm"], ...] = ("cold", "warm")
    latencies = {(label, key): found for (label, key, metric), found in locations(sides).items() if metric == LATENCY}
    found = []
    for key in sides.points:
        baseline = sides.side(sides.baseline, key)
        for arm in sides.arms:
            if arm.control or arm.label == sides.baseline.label:
                continue
            side = sides.side(arm, key)
            for state in states:
                calls, reason = _calls(baseline, side, state, latencies)
                found.append(BreakEven(arm=arm.label, point=key, state=state, calls=calls, reason=reason))
    return tuple(found)


def _calls(
    baseline: Side, side: Side, state: str, latencies: Mapping[tuple[str, str], Estimate | None]
) -> tuple[float | None, str]:
    for which in (baseline, side):
        if which.wrong:
            return None, which.failures
    before, after = (latencies[which.arm.label, which.key] for which in (baseline, side))
    starts = [_start(which, state) for which in (baseline, side)]
    if before is None or after is None:
        missing = baseline if before is None else side
        return None, missing.failures or f"{missing.arm.label} has no steady latency"
    if starts[0] is None or starts[1] is None:
        missing = baseline if starts[0] is None else side
        return None, f"{missing.arm.label} ran first in no {state} launch"
    longer = starts[1] - starts[0]
    saved = before.value - after.value
    if longer <= 0:
        return (0.0, "") if saved >= 0 else (None, "it starts sooner but is slower per call")
    return (longer / saved, "") if saved > 0 else (None, "never: it is not faster per call")


def _start(side: Side, state: str) -> float | None:
    values = [
        result.phases["compile_s"] + result.phases["first_run_s"]
        for result in side.quiet
        if result.status == "ok"
        and result.first_in_launch
        and (result.round == 0) == (state == "cold")
        and {"compile_s", "first_run_s"} <= result.phases.keys()
    ]
    return one_sample(values).value if values else None
