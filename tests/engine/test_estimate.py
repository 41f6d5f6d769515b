"""What a plan is expected to take before anything starts, and what it says where that does not fit the time."""

from dataclasses import replace

import pytest

from steelyard.core.backend import Budget, Device
from steelyard.core.energy import EnergySettings
from steelyard.core.result import LaunchRecord, Measurement, Result
from steelyard.core.run import Segment
from steelyard.core.workload import Selection
from steelyard.engine.estimate import Rounds, estimate, guessed, seen
from steelyard.engine.plan import Plan, Request, make_plan
from steelyard.engine.schedule import RoundCosts
from steelyard.lowering.expected import Expected
from steelyard.service.plan_text import describe
from tests.fakes.numpy_work import PATH
from tests.fakes.runs import synthetic_run

NOTHING = Expected(seconds=0.0, processes=1, terms={})


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(
        Request(
            suite="tests.fakes.small_suite:SUITE",
            backends=(PATH,),
            device=Device(kind="cpu", index=0, name="CPU", memory_bytes=None),
            budget=Budget(threads=1, cpus=(0,)),
            selection=Selection(device_kind="cpu"),
            baseline=PATH,
            window_s=2.0,
            energy=EnergySettings(enabled=False),
            aa_arms=1,
        )
    )


def within(plan: Plan, seconds: float) -> Plan:
    return replace(plan, request=replace(plan.request, time_s=seconds))


def rounds_of(plan: Plan, launches_s: float) -> Rounds:
    calls = {(arm.label, point.key): 0.01 for arm in plan.arms for point in plan.points}
    return Rounds(cold_s=2 * launches_s, costs=RoundCosts(launches_s=launches_s, calls=calls), earlier=False)


def test_a_guess_scales_with_the_machine(plan):
    fast, slow = guessed(plan, 1.0), guessed(plan, 3.0)
    assert slow.cold_s == pytest.approx(3 * fast.cold_s)
    assert slow.costs.launches_s == pytest.approx(3 * fast.costs.launches_s)
    assert set(fast.costs.calls) == {(arm.label, point.key) for arm in plan.arms for point in plan.points}


def test_everything_adds_up(plan):
    found = estimate(plan, Expected(seconds=50.0, processes=1, terms={}), rounds_of(plan, 10.0))
    windows = len(plan.arms) * len(plan.points) * (2.0 + 0.005)
    assert found.schedule is None
    assert found.round_s == pytest.approx(10.0 + windows)
    assert found.total_s == pytest.approx(50.0 + 20.0 + 8 * (10.0 + windows))


def test_of_cold_starts_every_round_is_a_cold_one(plan):
    cold = replace(plan, request=replace(plan.request, scenario="cold-start"), minimum_rounds=5, maximum_rounds=5)
    assert estimate(cold, NOTHING, rounds_of(plan, 10.0)).total_s == pytest.approx(5 * 20.0)


def test_time_that_is_too_short_is_told_before_the_run_with_what_would_do(plan):
    short = within(plan, 60.0)
    *_, told = describe(short, estimate(short, NOTHING, rounds_of(plan, 10.0)))
    assert told.startswith("expected: too little time for verdicts: they need 4 rounds, and ")
    assert told.endswith(": ask for --time 2m, or --workload wide")
    enough = within(plan, 180.0)
    assert not any("too little" in line for line in describe(enough, estimate(enough, NOTHING, rounds_of(plan, 10.0))))


def test_time_enough_has_nothing_to_add(plan):
    enough = within(plan, 3600.0)
    *_, told = describe(enough, estimate(enough, NOTHING, rounds_of(plan, 10.0)))
    assert told == "time: at most 60 min, lowering included; 12.0 min more where verdicts need them"


def test_fewer_workloads_are_offered_only_where_they_would_do(plan):
    hopeless = within(plan, 30.0)
    *_, told = describe(hopeless, estimate(hopeless, NOTHING, rounds_of(plan, 30.0)))
    assert told.startswith("expected: too little time for verdicts")
    assert "--workload" not in told


def test_an_earlier_run_says_what_its_rounds_took(plan):
    latency = Measurement(
        metric="latency_s", layer="bound_wall", samples=(0.5,) * 4, starts_s=(0.0, 0.5, 1.0, 1.5), cut=0,
        steady="flat", stop="time",
    )  # fmt: skip
    launches, results = [], []
    for number, lasted_s in enumerate((40.0, 20.0, 25.0, 90.0)):
        for position, arm in enumerate(plan.arms):
            name, begun = f"{number}-{position}", 100.0 * number + position
            launches.append(
                LaunchRecord(
                    launch=name, arm=arm.label, round=number, position=position, started_s=begun,
                    ended_s=100.0 * number + lasted_s, exit_code=0, supervisor_cpu_s=0.0,
                )
            )  # fmt: skip
            results += [
                Result(
                    case_id=plan.case(arm, point).id, arm=arm.label, round=number, position=position, launch=name,
                    status="ok", stage="check", measurements=(latency,) if number else (),
                )
                for point in plan.points
            ]  # fmt: skip
    made = synthetic_run()
    segment = replace(made.segments[0], rounds=(0, 1, 2, 3), disturbed={3: "a background load"})
    run = replace(made, segments=(segment,), launches=tuple(launches), results=tuple(results))
    found = seen(plan, run)
    assert found is not None
    assert (found.cold_s, found.earlier) == (40.0, True)
    assert found.costs.launches_s == pytest.approx(25.0 - 2.0 * len(plan.arms) * len(plan.points))
    assert set(found.costs.calls.values()) == {0.5}
    without_launches: Segment = replace(segment, rounds=(), disturbed={}, ended="interrupted")
    later = replace(run, segments=(without_launches, replace(segment, index=1)))
    assert seen(plan, later) == found, "a segment that was interrupted in its first launch has none"
    interrupted: Segment = replace(segment, rounds=(0,))
    assert seen(plan, replace(run, segments=(interrupted,))) is None
