"""Faults of a suite's author that show before anything is lowered: named with the suite, and what to change."""

from dataclasses import replace

import pytest

from steelyard.core.errors import SuiteError, UsageError
from steelyard.core.workload import Selection
from steelyard.lowering.catalogue import Model, Size, Tensor, suite
from steelyard.lowering.points import points_of


def made(extent: str = "width", sizes: tuple[str, ...] = ("tiny",)):
    size = Size(config={"width": 8}, axes={"batch": 1}, parameters=64, flop=None)
    model = Model(
        meaning="one product",
        source="tests.lowering.programs:unused",
        inputs={"x": Tensor(shape=("batch", extent))},
        outputs={"y": Tensor(shape=("batch", "width"))},
        sizes=dict.fromkeys(sizes, size),
    )
    return suite("mine", 1, "How fast?", "net", {"net": model}, {"batch": "rows"})


def test_a_headline_that_is_no_workload_is_refused():
    with pytest.raises(SuiteError, match="suite 'mine': its headline 'nett' is none of its workloads: net"):
        points_of(replace(made(), headline="nett"), Selection(device_kind="cpu"))


def test_a_suite_without_the_usual_size_has_the_last_of_its_own():
    (point,) = points_of(made(sizes=("tiny",)), Selection(device_kind="cpu"))
    assert point.axes["size"] == "tiny"
    (point,) = points_of(made(sizes=("tiny", "small")), Selection(device_kind="cpu"))
    assert point.axes["size"] == "small"
    with pytest.raises(UsageError, match="size 'full'"):
        points_of(made(), Selection(device_kind="cpu", size="full"))


def test_an_extent_that_nothing_gives_is_named_with_workload_and_tensor():
    with pytest.raises(
        SuiteError, match="suite 'mine', workload 'net': 'x': the extent 'breadth' is neither an axis nor"
    ):
        points_of(made(extent="breadth"), Selection(device_kind="cpu"))
