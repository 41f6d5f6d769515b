"""The suite `smoke`: a workload of every suite, each as its own suite has it."""

import pytest

import steelyard as sy
from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.core.workload import Selection
from steelyard.engine.plan import make_plan
from steelyard.lowering.points import points_of
from steelyard.service.asked import request_of

SUITE = plugins.suite("smoke")


def test_every_kind_is_a_workload_of_its_suite_at_tiny() -> None:
    found = points_of(SUITE, Selection(device_kind="cpu"))
    assert {point.workload for point in found} == {*SUITE.workloads}
    assert {point.axes["size"] for point in found} == {"tiny"}
    assert {point.driver for point in found} == {"call", "generate", "train"}
    assert sum(spec.bytes for point in found for spec in point.programs.values() for spec in spec.inputs) < 1 << 22


def test_every_kind_is_right_on_eager_as_in_its_own_suite(tmp_path) -> None:
    """A suite's pool must not know its points by the names that it gave them: here they have others."""
    run = sy.run(suite="smoke", backends="eager", scenario="correctness", output=tmp_path).data
    cases = {case.id: case for case in run.manifest.cases}
    told = {cases[result.case_id].point.workload: (result.status, result.reason) for result in run.results}
    assert told == dict.fromkeys(SUITE.workloads, ("ok", ""))


def test_a_launch_of_timed_calls_runs_every_kind() -> None:
    plan = make_plan(request_of(suite="smoke", backends=["eager"], quick=True))
    assert [len(bundle) for bundle in plan.bundles] == [len(SUITE.workloads)]
    assert (plan.minimum_rounds, plan.maximum_rounds) == (1, 1)


def test_there_are_no_axes_and_another_size_is_named() -> None:
    with pytest.raises(UsageError, match="unknown axis 'batch'"):
        points_of(SUITE, Selection(device_kind="cpu", axes={"batch": ("2",)}))
    with pytest.raises(UsageError, match="unknown size 'full'"):
        points_of(SUITE, Selection(device_kind="cpu", size="full"))
