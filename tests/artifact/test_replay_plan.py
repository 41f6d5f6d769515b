"""A stored plan on this machine: what can be run again, and what is left out by name."""

from dataclasses import replace
from typing import Any

import pytest

from steelyard import plugins
from steelyard.artifact.replay import Replay, points_here, refuse_unlike, replay_of, unlike_here
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.case import Arm, Case
from steelyard.core.errors import StoreError, UsageError
from steelyard.core.run import Manifest
from steelyard.core.workload import Selection
from tests.fakes.runs import synthetic_run

CPU = Device(kind="cpu", index=0, name="Another CPU", memory_bytes=8 << 30)
PLAN = {
    "suite": "llm", "scenario": "single-stream", "minimum_rounds": 8, "maximum_rounds": 12, "quick": False,
    "time_s": 60.0, "window_s": 0.5, "seed": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def stored() -> Manifest:
    """A manifest whose points are those that the suite makes."""
    points = plugins.suite("llm").points(Selection(device_kind="cpu", size="tiny"))
    manifest = synthetic_run(backends=("eager", "xla"), points=points, rounds=1).manifest
    return replace(manifest, plan=PLAN)


def replayed(stored: Manifest, **options: Any) -> Replay:
    settings = {"device": CPU, "cpus": (0,), "rounds": None, "time_s": None, "workloads": (), "weights": None}
    return replay_of(stored, **{**settings, "trust": False, **options})


def with_case_points(stored: Manifest, **changed: Any) -> Manifest:
    cases = tuple(replace(case, point=replace(case.point, **changed)) for case in stored.cases)
    return replace(stored, cases=cases)


def test_the_same_points_backends_and_settings_are_run_on_what_is_here(stored):
    again = replayed(stored)
    assert [point.key for point in again.points] == list({case.point.key: None for case in stored.cases})
    request = again.request
    assert request.backends == ("eager", "xla")
    assert (request.baseline, request.seed, request.window_s, request.rounds) == ("eager", 3, 0.5, 12)
    assert request.time_s is None
    assert request.budget == Budget(threads=1, cpus=(0,))
    assert request.device == CPU
    assert again.left_out == ()


def test_fewer_workloads_may_be_chosen_and_wrong_names_are_told(stored):
    again = replayed(stored, workloads=("decode",))
    assert {point.workload for point in again.points} == {"decode"}
    assert {entry.reason for entry in again.left_out} == {"not chosen with --workload"}
    with pytest.raises(UsageError, match="did you mean 'decode'"):
        replayed(stored, workloads=("decod",))


def test_a_point_that_the_suite_makes_otherwise_is_left_out_by_what_differs(stored):
    with pytest.raises(UsageError, match="makes it otherwise: suite_version"):
        replayed(with_case_points(stored, suite_version=99))
    case = stored.cases[0]
    point = replace(case.point, axes={**case.point.axes, "batch": 7}, workload="decode")
    odd = Case(point=point, backend=case.backend, device_kind="cpu", scenario="single-stream", budget=case.budget)
    again = replayed(replace(stored, cases=(*stored.cases, odd)))
    (left,) = again.left_out
    assert left.point == point.title


def test_a_run_is_gone_on_with_only_where_the_suite_makes_all_of_its_points(stored):
    suite = plugins.suite("llm")
    assert [point.key for point in points_here(stored, suite, None)] == list(
        {case.point.key: None for case in stored.cases}
    )
    program = replace(stored.cases[0].point.programs["main"], source="os:abort")
    with pytest.raises(StoreError, match=r"cannot be gone on with here: prefill .* makes it otherwise: programs"):
        points_here(with_case_points(stored, programs={"main": program}), suite, None)


def test_code_named_in_a_bundle_is_never_imported_unasked(stored):
    arm = Arm(label="mine", backend=parse_backend("no.such.module:Runner"))
    again = replayed(replace(stored, arms=(*stored.arms, arm)))
    assert again.request.backends == ("eager", "xla")
    (left,) = again.left_out
    assert (left.backend, "--trust" in left.reason) == ("no.such.module:Runner", True)
    trusted = replayed(replace(stored, arms=(*stored.arms, arm)), trust=True)
    assert "cannot import module" in trusted.left_out[0].reason
    with pytest.raises(UsageError, match="code of its own"):
        replayed(replace(stored, plan={**PLAN, "suite": "os:path"}))


def test_a_backend_that_is_unknown_here_is_a_row_with_its_reason(stored):
    arm = Arm(label="tvm", backend=parse_backend("tvmm[fast]"))
    again = replayed(replace(stored, arms=(*stored.arms, arm)))
    assert again.left_out[0].backend == "tvmm[fast]"
    assert "unknown backend 'tvmm'" in again.left_out[0].reason


def test_a_run_that_does_not_say_its_plan_cannot_be_run_again(stored):
    with pytest.raises(StoreError, match="does not say suite, scenario"):
        replayed(replace(stored, plan={}))


def test_what_differs_here_is_said(stored):
    told = unlike_here(stored, CPU, replace(stored.budget, threads=1, cpus=(0,)), {"python": "3.12.0"})
    assert 'device.name: "Synthetic CPU 3000" -> "Another CPU"' in told
    assert "budget.threads: 2 -> 1" in told
    assert 'python: "3.11.7" -> "3.12.0"' in told
    assert not [text for text in told if text.startswith("case ")]


def test_other_work_is_refused_by_name_before_anything_is_measured(stored):
    key, facts = next(iter(stored.lowered.items()))
    other = replace(facts, identity=replace(facts.identity, weights="other"))
    here = replace(stored, lowered={**stored.lowered, key: other})
    title = next(case.point.title for case in stored.cases if case.point.key == key)
    with pytest.raises(StoreError, match=f"{title}: the identity differs in weights"):
        refuse_unlike(stored, here)
    refuse_unlike(stored, stored)
