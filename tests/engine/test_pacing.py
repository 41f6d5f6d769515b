"""What a segment learns of its own costs, and what it tells when the time is short."""

import time
from collections.abc import Mapping
from dataclasses import replace

import pytest

from steelyard.core.backend import Budget, Device
from steelyard.core.energy import EnergySettings
from steelyard.core.result import Measurement, Result
from steelyard.core.workload import Selection
from steelyard.engine.pacing import Pacing
from steelyard.engine.plan import Plan, Request, make_plan
from tests.fakes.numpy_work import PATH, NumpyRunner


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(
        Request(
            suite="tests.fakes.small_suite:SUITE",
            backends=(PATH,),
            device=Device(kind="cpu", index=0, name="CPU", memory_bytes=None),
            budget=Budget(threads=1, cpus=()),
            selection=Selection(device_kind="cpu", workloads=("wide",)),
            baseline=PATH,
            window_s=2.0,
            time_s=600.0,
            energy=EnergySettings(enabled=False),
            aa_arms=1,
        )
    )


def results_of(plan: Plan, number: int, phases: Mapping[str, float], samples: tuple[float, ...] = ()) -> list[Result]:
    """One result of each arm at the run's only point; of a warm round with a window of these samples."""
    latency = Measurement(
        metric="latency_s",
        layer="bound_wall",
        samples=samples,
        starts_s=tuple(0.1 * index for index in range(len(samples))),
        cut=0,
        steady="flat",
        stop="time",
    )
    return [
        Result(
            case_id=plan.case(arm, plan.points[0]).id,
            arm=arm.label,
            round=number,
            position=position,
            launch=f"{number}-{position}",
            status="ok",
            stage="check",
            phases=phases,
            measurements=(latency,) if samples else (),
        )
        for position, arm in enumerate(plan.arms)
    ]


def paced(plan: Plan, used_s: float = 0.0) -> Pacing:
    """After a cold round whose launches took 10 s, `used_s` into the run."""
    pacing = Pacing(plan, time.monotonic() - used_s)
    phases = {"import_s": 4.0, "load_s": 5.8, "first_run_s": 0.1, "second_run_s": 0.1}
    pacing.saw_cold(results_of(plan, 0, phases), len(plan.arms))
    return pacing


def test_the_cold_round_says_what_a_warm_one_takes(plan):
    pacing = paced(plan)
    launch_s = 10.0 + 1.0 + 0.3 + 2 * 0.1
    assert pacing.round_s == pytest.approx(3 * (launch_s + 2.0 + 0.05))


def test_compiling_again_costs_less_where_the_runtime_keeps_a_cache(plan, monkeypatch):
    def round_s(keeps: str) -> float:
        monkeypatch.setattr(NumpyRunner, "keeps_cache", keeps)
        pacing = paced(plan)
        pacing.saw_cold(results_of(plan, 0, {"compile_s": 100.0, "second_run_s": 0.1}), len(plan.arms))
        return pacing.round_s

    assert round_s("") - round_s("compiled programs") == pytest.approx(3 * 0.7 * 100.0)


def test_launches_of_the_baseline_in_further_groups_are_counted(plan):
    alone, grouped = paced(plan), paced(plan)
    grouped.saw_cold(results_of(plan, 0, {"second_run_s": 0.1}), 2 * len(plan.arms))
    alone.saw_cold(results_of(plan, 0, {"second_run_s": 0.1}), len(plan.arms))
    assert grouped.round_s - alone.round_s == pytest.approx(3 * (0.1 + 1.0 + 0.3 + 0.2))


def test_a_warm_round_corrects_it(plan):
    pacing = paced(plan)
    pacing.saw_warm(results_of(plan, 1, {}, samples=(0.25,) * 8), wall_s=18.0)
    assert pacing.round_s == pytest.approx(18.0 - 3 * 2.0 + 3 * (10 * 0.25 + 0.125)), "10 calls take longer than 2 s"


def test_time_enough_is_nothing_to_tell(plan):
    pacing = paced(plan)
    assert pacing.plan_on(0) == ""
    assert set(pacing.windows.values()) == {2.0}


def test_windows_are_shortened_and_told_once(plan):
    pacing = paced(plan, used_s=600.0 - 8 * 3 * (11.5 + 1.5 + 0.05))
    told = pacing.plan_on(0)
    assert told == "for 8 rounds to fit the time, timed windows: wide 1.5 s (asked for: 2 s)"
    assert pacing.plan_on(0) == ""


def test_fewer_rounds_are_told_with_their_length(plan):
    pacing = paced(plan, used_s=600.0 - 6.5 * 3 * (11.5 + 1.05))
    assert pacing.plan_on(0).startswith("6 rounds fit the time instead of 8, each of 41 s; timed windows: wide")


def test_too_little_time_for_a_verdict_says_how_much_more_would_do(plan):
    pacing = paced(replace(plan, request=replace(plan.request, time_s=200.0)), used_s=200.0 - 2.2 * 3 * (11.5 + 1.05))
    assert pacing.plan_on(0) == "too little time for verdicts: they need 4 rounds, and 2 fit; 1.1 min more would do"
    assert pacing.holds_another(0.0), "what was measured counts when the run goes on"


def test_the_rounds_that_verdicts_need_may_end_a_fifth_of_the_time_later(plan):
    round_s = 3 * (11.5 + 1.05)
    pacing = paced(plan, used_s=600.0 - 2.2 * round_s)
    assert pacing.plan_on(0) == "the 4 rounds that verdicts need take 1.1 min more than the time"
    assert pacing.remaining_s(0) == pytest.approx(4 * round_s, abs=1.0)
    late = paced(plan, used_s=605.0)
    late.plan_on(3)
    assert late.holds_another(0.0)
    late.plan_on(4)
    assert not late.holds_another(0.0), "they have their verdicts"
    too_late = paced(plan, used_s=600.0 + 120.0 - 30.0)
    too_late.plan_on(3)
    assert not too_late.holds_another(0.0)


def test_rounds_of_earlier_segments_count(plan):
    resumed = replace(plan, done=3, minimum_rounds=5, request=replace(plan.request, time_s=60.0))
    assert paced(resumed).plan_on(0).startswith("4 rounds fit the time instead of 8, each of 41 s")


def test_without_a_limit_nothing_is_cut(plan):
    pacing = paced(replace(plan, request=replace(plan.request, time_s=None)), used_s=1e6)
    assert pacing.plan_on(0) == ""
    assert pacing.left_s() == float("inf")


def test_it_says_about_how_long_the_run_has_to_go(plan):
    pacing = paced(plan)
    assert pacing.remaining_s(0) == pytest.approx(8 * pacing.round_s)
    assert pacing.remaining_s(6) == pytest.approx(2 * pacing.round_s)
    assert pacing.remaining_s(8) == pytest.approx(600.0, abs=1.0), "it goes on until the time is used up"
    assert paced(plan, used_s=590.0).remaining_s(0) == pytest.approx(10.0, abs=1.0)
    unlimited = replace(plan, request=replace(plan.request, time_s=None))
    assert Pacing(unlimited, 0.0).remaining_s(0) is None
