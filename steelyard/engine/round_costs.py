"""What rounds of a plan cost, as launches that were made of it have shown: the cold round says it first, then each warm
one."""

from collections.abc import Mapping, Sequence

from steelyard import plugins
from steelyard.core.result import Result
from steelyard.engine.metering import metering_s
from steelyard.engine.plan import Plan
from steelyard.engine.schedule import RoundCosts

COMPILED_AGAIN = 0.3
"""Of the cold compile time, where the runtime keeps a cache on disk: as seen on the suite llm."""
# What a warm launch takes beside the phases that the cold one has shown, likewise.
LAUNCH_S = 1.0  # the process and the looks at the machine before and after it
CASE_S = 0.3  # inputs and references read, outputs checked
CALLS_A_CASE = 2  # outside the window: those with inputs it has not seen


def after_cold(plan: Plan, results: Sequence[Result], launches: int) -> RoundCosts:
    """What the results of a cold round say of warm ones of so many launches a bundle: in groups the baseline has one in
    each, of which the windows are not yet counted."""
    points = _points(plan)
    calls = {
        (result.arm, point): result.phases["second_run_s"]
        for result in results
        if (point := points.get((result.arm, result.case_id))) and "second_run_s" in result.phases
    }
    keeps = {arm.label: bool(plugins.runner(arm.backend.runner).keeps_cache) for arm in plan.arms}
    phases_s = sum(
        seconds * (COMPILED_AGAIN if name == "compile_s" and keeps[result.arm] else 1.0)
        for result in results
        for name, seconds in result.phases.items()
    )
    case_s = CASE_S + metering_s(plan.request.energy, plan.request.device)
    started_s = LAUNCH_S * len({result.launch for result in results if result.phases})
    outside_s = sum(case_s + CALLS_A_CASE * call_s for call_s in calls.values())
    return RoundCosts(launches_s=(phases_s + started_s + outside_s) * launches / len(plan.arms), calls=calls)


def after_warm(plan: Plan, results: Sequence[Result], wall_s: float) -> RoundCosts:
    """What the results of a warm round that took so long say of the next."""
    points, windows_s, calls = _points(plan), 0.0, {}
    for result in results:
        point, latency = points.get((result.arm, result.case_id)), result.measurement("latency_s")
        if point is not None and latency is not None and len(latency.samples):
            window_s = float(sum(latency.samples))
            windows_s += window_s
            calls[result.launch, point] = window_s / len(latency.samples)
    return RoundCosts(launches_s=max(0.0, wall_s - windows_s), calls=calls)


def _points(plan: Plan) -> Mapping[tuple[str, str], str]:
    """Point keys by arm and case."""
    return {(arm.label, plan.case(arm, point).id): point.key for arm in plan.arms for point in plan.points}
