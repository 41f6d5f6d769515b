"""Goodput of machines: shares of time whose product it is, and which add up over machines."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.analysis.machine_time import MachineTime, machine_time
from tests.fakes.runs import synthetic_run

SHARE = st.floats(0.05, 1.0)
SECONDS = st.floats(1.0, 1e6)


@st.composite
def times(draw):
    """A machine that spends its time so that each share is what was drawn."""
    spent, available, runtime, program = draw(SECONDS), draw(SHARE), draw(SHARE), draw(SHARE)
    timed = spent * available * runtime
    made = MachineTime(spent_s=spent, sound_s=spent * available, timed_s=timed, rated_s=timed, ideal_s=timed * program)
    assert (made.availability, made.runtime, made.program) == pytest.approx((available, runtime, program))
    return made


@given(times())
def test_goodput_is_the_ideal_time_over_the_time_spent(made):
    assert made.goodput == pytest.approx(made.ideal_s / made.spent_s)


@given(st.lists(times(), min_size=1, max_size=6))
def test_the_goodput_of_a_fleet_is_that_of_its_machines_by_their_time(machines):
    fleet = sum(machines, MachineTime())
    spent = sum(each.spent_s for each in machines)
    assert fleet.goodput == pytest.approx(sum(each.goodput * each.spent_s / spent for each in machines))
    assert fleet.availability == pytest.approx(sum(each.availability * each.spent_s / spent for each in machines))
    lowest, highest = min(each.goodput for each in machines), max(each.goodput for each in machines)
    assert lowest * (1 - 1e-9) <= fleet.goodput <= highest * (1 + 1e-9)


def test_without_launches_or_a_ceiling_nothing_is_claimed():
    assert MachineTime().availability is MachineTime().goodput is None
    assert MachineTime(spent_s=2.0, sound_s=1.0, timed_s=0.5).goodput is None
    assert MachineTime(spent_s=2.0, sound_s=1.0, timed_s=0.5).runtime == 0.5


def test_failed_launches_and_contaminated_rounds_were_spent_and_count_for_nothing():
    run = synthetic_run()
    whole = machine_time(run, lambda arm, point: 1e-6)
    assert 0 < whole.program < 1
    assert machine_time(run, lambda arm, point: 2e-6).program == pytest.approx(2 * whole.program)
    assert 0 < whole.timed_s < whole.sound_s <= whole.spent_s
    first = next(result for result in run.results if result.round > 0 and result.status == "ok")
    failed = dataclasses.replace(first, status="failed", reason="it crashed")
    broken = dataclasses.replace(run, results=tuple(failed if each is first else each for each in run.results))
    found = machine_time(broken, lambda arm, point: None)
    (launch,) = [each for each in run.launches if each.launch == first.launch]
    took = launch.ran_s if launch.ran_s is not None else launch.ended_s - launch.started_s
    assert found.spent_s == pytest.approx(whole.spent_s)
    assert found.sound_s == pytest.approx(whole.sound_s - took)
    assert found.rated_s == 0
    (segment,) = run.segments
    marked = dataclasses.replace(segment, disturbed={2: "another program"})
    aside = machine_time(dataclasses.replace(run, segments=(marked,)), lambda arm, point: None)
    assert aside.sound_s < whole.sound_s
    assert aside.timed_s < whole.timed_s
    assert aside.spent_s == pytest.approx(whole.spent_s)


def test_a_launch_that_stalls_lowers_the_share_of_the_ceiling():
    run = synthetic_run()
    whole = machine_time(run, lambda arm, point: 1e-3)
    first = next(result for result in run.results if result.round > 0 and result.measurement("latency_s") is not None)
    slow = tuple(
        dataclasses.replace(each, samples=tuple(10 * value for value in each.samples))
        if each.metric == "latency_s"
        else each
        for each in first.measurements
    )
    stalled = dataclasses.replace(first, measurements=slow)
    found = machine_time(
        dataclasses.replace(run, results=tuple(stalled if each is first else each for each in run.results)),
        lambda arm, point: 1e-3,
    )
    assert found.ideal_s == pytest.approx(whole.ideal_s)
    assert found.program < whole.program
