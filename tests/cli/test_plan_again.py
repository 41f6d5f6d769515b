"""How many rounds a stored run still has to come, by scenario and by what its segments measured."""

from dataclasses import replace

import pytest

from steelyard import plugins
from steelyard.core.metrics import Reading
from steelyard.core.run import Run
from steelyard.core.workload import Selection
from steelyard.engine.plan import COLD_START_ROUNDS, DEFAULT_TIMEOUTS, MAXIMUM_ROUNDS
from steelyard.service.stored_plan import plan_of, rounds_done
from tests.fakes.runs import synthetic_run


def stored(scenario: str, planned: int, *segments: tuple[int, ...]) -> Run:
    points = plugins.suite("llm").points(Selection(device_kind="cpu", size="tiny", workloads=("decode",)))[:1]
    run = synthetic_run(backends=("eager",), points=points, rounds=1)
    plan = {"suite": "llm", "scenario": scenario, "minimum_rounds": min(8, planned), "maximum_rounds": planned}
    plan |= {"quick": False, "time_s": None, "window_s": 0.5, "seed": 3}
    parts = tuple(replace(run.segments[0], rounds=rounds) for rounds in segments)
    return replace(run, manifest=replace(run.manifest, plan=plan), segments=parts)


def left(run: Run, rounds: int | None = None) -> tuple[int, int]:
    done = rounds_done(run, run.manifest.plan["scenario"])
    plan = plan_of(run.manifest, time_s=None, rounds=rounds, timeouts=DEFAULT_TIMEOUTS, done=done)
    return plan.minimum_rounds, plan.maximum_rounds


def test_the_cold_round_of_a_warm_run_is_none_of_its_rounds():
    assert left(stored("single-stream", 12, (0, 1, 2), (0, 3))) == (5, 9)
    assert left(stored("single-stream", 3, (0, 1, 2, 3))) == (0, MAXIMUM_ROUNDS)


@pytest.mark.parametrize(
    ("segments", "maximum"), [([(0, 1)], 3), ([(0, 1), (0, 2)], 1), ([(0,)], 4), ([()], 5)], ids=str
)
def test_a_run_of_cold_starts_ends_with_as_many_as_were_planned(segments, maximum):
    assert left(stored("cold-start", 5, *segments))[1] == maximum


def test_a_finished_run_of_cold_starts_goes_on_with_as_many_as_the_least_or_as_asked_for():
    whole = stored("cold-start", 7, (0, 1, 2, 3, 4, 5, 6))
    assert left(whole) == (0, COLD_START_ROUNDS)
    assert left(whole, rounds=2) == (0, 2)


def test_a_contaminated_round_is_still_to_come_and_a_contaminated_cold_start_is_not():
    for scenario, maximum in (("single-stream", 10), ("cold-start", 8)):
        run = stored(scenario, 11, (0, 1, 2))
        (segment,) = run.segments
        contaminated = replace(run, segments=(replace(segment, disturbed={1: "a background load"}),))
        assert left(contaminated)[1] == maximum


def test_a_round_in_which_the_baseline_lost_its_time_to_the_host_is_still_to_come():
    run = stored("single-stream", 11, (0, 1, 2))
    share = {"during/steal_share": Reading(value=0.09, unit="1", method="/proc/stat")}
    lost = tuple(
        replace(launch, ran_s=1.0, noise=share if launch.round == 1 and launch.arm == run.manifest.baseline else {})
        for launch in run.launches
    )
    assert left(run)[1] == 9
    assert left(replace(run, launches=lost))[1] == 10


@pytest.mark.parametrize(("planned", "turns", "piece"), [({}, False, 1), ({"turns": True, "piece": 4}, True, 4)])
def test_windows_go_on_as_they_began(planned, turns, piece):
    run = stored("single-stream", 8, (0, 1))
    manifest = replace(run.manifest, plan={**run.manifest.plan, **planned})
    request = plan_of(manifest, time_s=None, rounds=None, timeouts=DEFAULT_TIMEOUTS, done=1).request
    assert (request.turns, request.piece) == (turns, piece)
