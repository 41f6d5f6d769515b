"""The suite `smoke`: a workload of every suite, each as its own suite has it."""

import pytest

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.core.workload import Selection
from steelyard.lowering.points import points_of

SUITE = plugins.suite("smoke")


def test_every_kind_is_a_workload_of_its_suite_at_tiny() -> None:
    found = points_of(SUITE, Selection(device_kind="cpu"))
    assert {point.workload for point in found} == {*SUITE.workloads}
    assert {point.axes["size"] for point in found} == {"tiny"}
    assert {point.driver for point in found} == {"call", "generate", "train"}
    assert sum(spec.bytes for point in found for spec in point.programs.values() for spec in spec.inputs) < 1 << 22


def test_there_are_no_axes_and_another_size_is_named() -> None:
    with pytest.raises(UsageError, match="unknown axis 'batch'"):
        points_of(SUITE, Selection(device_kind="cpu", axes={"batch": ("2",)}))
    with pytest.raises(UsageError, match="unknown size 'full'"):
        points_of(SUITE, Selection(device_kind="cpu", size="full"))
