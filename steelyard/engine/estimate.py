"""Minutes and gigabytes of a plan, before anything starts: as an earlier run of the same plan took here, or a guess."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from steelyard import plugins
from steelyard.core.case import Arm
from steelyard.core.result import LaunchRecord
from steelyard.core.run import Run, launches_by_segment, segment_of
from steelyard.core.workload import Point
from steelyard.engine.at_once import at_once
from steelyard.engine.metering import metering_s
from steelyard.engine.pacing import aim_of, overtime_s
from steelyard.engine.plan import Plan
from steelyard.engine.round_costs import CALLS_A_CASE, COMPILED_AGAIN, after_warm
from steelyard.engine.schedule import RoundCosts, Schedule, fit
from steelyard.lowering.expected import Expected
from steelyard.measure.driver import driver_of

# Seconds on the machine that rates of lowering are from, whatever the size and per gigabyte of weights, from
# SmolLM2-135M (0.54 GB): of a launch, of what each program takes besides compiling, of each case's runs and checks.
_LAUNCH_S, _PROGRAM_S_PER_GB = 2.0, 1.0
_COLD_CASE_S, _COLD_CASE_S_PER_GB = 1.0, 2.0
_CASE_S, _CASE_S_PER_GB = 0.5, 0.6
_FLOP_PER_S, _BYTES_PER_S = 200e9, 20e9
_ACCELERATED = 50.0  # how many times as fast an accelerator computes, roughly


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """What a cold round takes, and what warm ones cost; `earlier` says whether an earlier run has shown it."""

    cold_s: float
    costs: RoundCosts
    earlier: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeEstimate:
    """What a plan will take. `lowering` is overlapping terms where several processes share it; `schedule` is how the
    time that was given is shared out, None where none was, and `alone` how it would be with the headline alone, None
    where that is all there is."""

    lowering: Expected
    rounds: Rounds
    round_s: float
    count: int
    disk_bytes: int
    memory_bytes: int
    schedule: Schedule | None
    alone: Schedule | None

    @property
    def total_s(self) -> float:
        """Until the rounds that are planned for at least are done."""
        return self.lowering.seconds + self.rounds.cold_s + self.round_s * self.count


def estimate(plan: Plan, lowering: Expected, rounds: Rounds) -> TimeEstimate:
    """Of lowering, rounds and gigabytes, and what they leave of the time that was given."""
    request, aim = plan.request, aim_of(plan)
    fewer = _headline(plan)
    schedule = _schedule(plan, lowering, rounds)
    alone = None if fewer is None else _schedule(fewer, lowering, _scaled(rounds, plan, fewer))
    warm_s = rounds.costs.round_s(aim.windows if schedule is None else schedule.windows, aim.minimum)
    always_cold = not request.timed
    gigabytes = _gigabytes(plan)
    formats = {name.split("@")[0] for needed in plan.formats.values() for name in needed}
    return TimeEstimate(
        lowering=lowering,
        rounds=rounds,
        round_s=rounds.cold_s if always_cold else warm_s,
        count=max(0, plan.minimum_rounds - always_cold),
        disk_bytes=round(gigabytes * 1e9 * (1 + ("openvino" in formats))),
        memory_bytes=round(gigabytes * 1e9 * 4) * at_once(request),
        schedule=schedule,
        alone=alone,
    )


def _schedule(plan: Plan, lowering: Expected, rounds: Rounds) -> Schedule | None:
    request = plan.request
    if request.time_s is None or not request.timed:
        return None
    left_s = request.time_s - lowering.seconds - rounds.cold_s
    return fit(rounds.costs, aim_of(plan), left_s, overtime_s(plan))


def _headline(plan: Plan) -> Plan | None:
    """The plan with its headline alone; None where it has nothing else, or none."""
    points = tuple(point for point in plan.points if point.workload == plan.suite.headline)
    return None if len(points) in (0, len(plan.points)) else replace(plan, points=points)


def _scaled(rounds: Rounds, plan: Plan, fewer: Plan) -> Rounds:
    """What rounds of fewer points take, where guesses of both differ by as much as the rounds do."""
    whole, part = guessed(plan, 1.0), guessed(fewer, 1.0)
    keys = {point.key for point in fewer.points}
    costs = RoundCosts(
        launches_s=rounds.costs.launches_s * part.costs.launches_s / whole.costs.launches_s,
        calls={name: call_s for name, call_s in rounds.costs.calls.items() if name[1] in keys},
    )
    return replace(rounds, cold_s=rounds.cold_s * part.cold_s / whole.cold_s, costs=costs)


def guessed(plan: Plan, slowness: float) -> Rounds:
    """What rounds take on a machine that is `slowness` times as slow as the one that the rates are from."""
    cold_s = launches_s = 0.0
    calls: dict[tuple[str, str], float] = {}
    metered_s = metering_s(plan.request.energy, plan.request.device)
    for arm in plan.arms:
        for bundle in plan.bundles:
            cold_s += slowness * _LAUNCH_S
            launches_s += slowness * _LAUNCH_S
            compiled: set[str] = set()
            for point in bundle:
                size = (point.work.weight_bytes or 0) / 1e9
                new = {program.key for program in point.programs.values()} - compiled
                compiled |= new
                load_s, compile_s = len(new) * size * _PROGRAM_S_PER_GB, len(new) * size * _compile_s_per_gb(arm)
                again = COMPILED_AGAIN if plugins.runner(arm.backend.runner).keeps_cache else 1.0
                call_s = slowness * _call_s(point, accelerated=plan.request.device.kind != "cpu")
                cold_s += slowness * (load_s + compile_s + _COLD_CASE_S + _COLD_CASE_S_PER_GB * size) + 2 * call_s
                launches_s += slowness * (load_s + compile_s * again + _CASE_S + _CASE_S_PER_GB * size)
                launches_s += CALLS_A_CASE * call_s + metered_s
                calls[arm.label, point.key] = call_s
    cold_s /= at_once(plan.request)
    return Rounds(cold_s=cold_s, costs=RoundCosts(launches_s=launches_s, calls=calls), earlier=False)


def seen(plan: Plan, run: Run) -> Rounds | None:
    """What the rounds of the newest segment of an earlier run of the same plan took; None where it has no whole warm
    round without contamination."""
    for records in reversed(launches_by_segment(run.launches)):
        segment = segment_of(run, records)
        warm = () if segment is None else segment.rounds
        whole = [number for number in warm if number > 0 and segment and number not in segment.disturbed]
        if not whole:
            continue
        spans = {number: _span_s([record for record in records if record.round == number]) for number in (0, whole[-1])}
        launches = {record.launch for record in records if record.round == whole[-1]}
        results = [result for result in run.results if result.launch in launches]
        costs = after_warm(plan, results, spans[whole[-1]])
        return Rounds(cold_s=spans[0], costs=costs, earlier=True)
    return None


def warm_case_s(point: Point) -> float:
    """About how long a warm launch is busy with a case of this point outside its window; for dividing work alone."""
    size = (point.work.weight_bytes or 0) / 1e9
    return _CASE_S + size * (_CASE_S_PER_GB + _PROGRAM_S_PER_GB) + CALLS_A_CASE * _call_s(point, accelerated=False)


def _span_s(records: Sequence[LaunchRecord]) -> float:
    """From the beginning of the first of these launches to the end of the last."""
    begun = min((record.started_s for record in records), default=0.0)
    return max((record.ended_s for record in records), default=begun) - begun


def _compile_s_per_gb(arm: Arm) -> float:
    return plugins.runner(arm.backend.runner).compile_s_per_gb


def _call_s(point: Point, *, accelerated: bool) -> float:
    """Of a call by its work; each program that it runs reads all weights once."""
    work = point.work
    passes = sum(driver_of(point).runs(point).values())
    seconds = max((work.flop or 0.0) / _FLOP_PER_S, passes * (work.weight_bytes or 0) / _BYTES_PER_S)
    return seconds / (_ACCELERATED if accelerated else 1.0)


def _gigabytes(plan: Plan) -> float:
    """The weights of a point, on average."""
    sizes: Mapping[str, int] = {point.key: point.work.weight_bytes or 0 for point in plan.points}
    return sum(sizes.values()) / max(1, len(sizes)) / 1e9
