"""Rounds of several bundles: each bundle has launches of its own, and an order of arms that is balanced by itself."""

import dataclasses
import time
from collections import Counter, defaultdict
from itertools import islice

import pytest

from steelyard import plugins
from steelyard.core.backend import Budget, Device
from steelyard.core.result import LaunchRecord
from steelyard.core.workload import STREAMS, Point, Selection
from steelyard.engine import session as engine
from steelyard.engine.launch import LaunchOutcome
from steelyard.engine.plan import Plan, Request, make_plan
from steelyard.engine.protocol import LaunchRequest
from steelyard.engine.rounds import balanced_orders
from tests.engine.test_contaminated_rounds import Listener
from tests.fakes.numpy_work import PATH, lowered_point


@pytest.fixture(scope="module")
def plan() -> Plan:
    """As many arms as bundles, which under a limit of memory are the points: one order after the other of a common
    square would give each bundle an order of each square."""
    return make_plan(
        Request(
            suite="tests.fakes.small_suite:SUITE",
            backends=(PATH,),
            device=Device(kind="cpu", index=0, name="CPU", memory_bytes=None),
            budget=Budget(threads=1, cpus=(), memory_cap_bytes=1 << 30, memory_cap_by="rlimit"),
            selection=Selection(device_kind="cpu"),
            baseline=PATH,
            rounds=11,
            window_s=0.5,
            turns=False,
        )
    )


def places(plan: Plan, monkeypatch, tmp_path, *, first_round: int = 1) -> dict[str, list[tuple[str, ...]]]:
    """By point, the arms of each of its rounds in the order of their launches."""
    found: dict[str, list[list[str]]] = defaultdict(list)

    def launch(request: LaunchRequest, **_) -> LaunchOutcome:
        (case,) = request.cases
        if request.position == 0:
            found[case.lowered.point.workload].append([])
        found[case.lowered.point.workload][-1].append(request.arm)
        where = {"launch": request.launch, "arm": request.arm, "round": request.round, "position": request.position}
        return LaunchOutcome(record=LaunchRecord(**where, started_s=0, ended_s=1, exit_code=0, supervisor_cpu_s=0))

    monkeypatch.setattr(engine, "run_launch", launch)
    small = lowered_point(tmp_path / "point")
    lowered = {point.key: dataclasses.replace(small, point=point) for point in plan.points}
    work = {"work": tmp_path, "started_s": time.monotonic(), "first_round": first_round}
    engine.Session(plan, lowered, {}, Listener(), run_id="r", **work).run()
    return {workload: [tuple(arms) for arms in rounds] for workload, rounds in found.items()}


@pytest.mark.parametrize("first_round", [1, 13])
def test_every_arm_takes_every_position_of_every_bundle_equally_often(plan, monkeypatch, tmp_path, first_round):
    assert len(plan.bundles) == len(plan.arms) == 2
    found = places(plan, monkeypatch, tmp_path, first_round=first_round)
    assert set(found) == {"wide", "narrow"}
    for workload, rounds in found.items():
        assert len(rounds) == 12
        for block in zip(rounds[::2], rounds[1::2], strict=True):
            counts = Counter((place, arm) for order in block for place, arm in enumerate(order))
            assert set(counts.values()) == {1}, (workload, rounds)


def test_bundles_have_orders_of_their_own_and_the_first_is_that_of_a_run_with_one(plan, monkeypatch, tmp_path):
    found = places(plan, monkeypatch, tmp_path)
    assert found["wide"] != found["narrow"]
    alone = islice(balanced_orders([arm.label for arm in plan.arms], plan.request.seed + 1), 12)
    assert found["wide"] == list(alone)


def test_every_bundle_of_an_arm_has_a_compile_cache_of_its_own(plan, monkeypatch, tmp_path):
    """A cold launch empties its own: those of one model under a limit of memory must not empty each other's."""
    caches: dict[str, set[tuple[str, str]]] = defaultdict(set)

    def launch(request: LaunchRequest, **_) -> LaunchOutcome:
        (case,) = request.cases
        caches[request.compile_cache].add((request.arm, case.lowered.point.key))
        where = {"launch": request.launch, "arm": request.arm, "round": request.round, "position": request.position}
        return LaunchOutcome(record=LaunchRecord(**where, started_s=0, ended_s=1, exit_code=0, supervisor_cpu_s=0))

    monkeypatch.setattr(engine, "run_launch", launch)
    small = lowered_point(tmp_path / "point")
    lowered = {point.key: dataclasses.replace(small, point=point) for point in plan.points}
    engine.Session(plan, lowered, {}, Listener(), run_id="r", work=tmp_path, started_s=time.monotonic()).run()
    assert len(caches) == len(plan.arms) * len(plan.bundles) == 4
    assert all(len(of) == 1 for of in caches.values())


def test_models_that_a_plan_puts_together_share_launches(plan) -> None:
    """The fake suite has two workloads of one model; here each has another, with one stream or two."""
    free = dataclasses.replace(plan, request=dataclasses.replace(plan.request, budget=Budget(threads=1, cpus=())))
    first, *_ = plan.points

    def model(number: int) -> Point:
        program = first.programs["main"]
        weights = dataclasses.replace(program.weights, arguments={**program.weights.arguments, "model": number})
        programs = {"main": dataclasses.replace(program, weights=weights)}
        return dataclasses.replace(first, workload=f"w{number}", programs=programs)

    models = [model(number) for number in range(5)]
    streamed = dataclasses.replace(models[4], settings={**first.settings, STREAMS: 2})
    points = (*models[:2], streamed, *models[2:])

    def bundles(of: Plan) -> list[list[str]]:
        return [[f"{point.workload}/{point.streams}" for point in bundle] for bundle in of.bundles]

    two = dataclasses.replace(free, points=points, together=2)
    assert bundles(two) == [["w0/1", "w1/1"], ["w2/1", "w3/1"], ["w4/1"], ["w4/2"]]
    each = [["w0/1"], ["w1/1"], ["w2/1"], ["w3/1"], ["w4/1"], ["w4/2"]]
    assert bundles(dataclasses.replace(two, together=1)) == each
    assert sorted(bundles(dataclasses.replace(two, request=plan.request))) == each  # under a limit of memory


@pytest.mark.parametrize(
    ("asked", "together"),
    [({}, 3), ({"attempt": True}, 1), ({"scenario": "cold-start"}, 1), ({"scenario": "correctness"}, 1)],
)
def test_a_suites_models_share_launches_of_timed_calls_alone(plan, monkeypatch, asked, together) -> None:
    """Elsewhere a launch is cold for its first model alone, or a crash would take the answers of others along."""
    suite = dataclasses.replace(plan.suite, together=3)
    monkeypatch.setattr(plugins, "suite", lambda name: suite)
    assert make_plan(dataclasses.replace(plan.request, **asked)).together == together
