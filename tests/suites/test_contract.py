"""The contract tests of a suite find what is declared otherwise than it is."""

from dataclasses import replace

import pytest

from steelyard import plugins
from steelyard.contract.suite import SuiteContract, unlike
from steelyard.core.workload import Point, Selection


class TestRnn(SuiteContract):
    """A suite that is right."""

    pytestmark = pytest.mark.backends
    suite = "rnn"


@pytest.fixture(scope="module")
def right() -> Point:
    return plugins.suite("rnn").points(Selection(device_kind="cpu", size="tiny", workloads=("lstm",)))[0]


@pytest.mark.backends
def test_each_difference_is_told_with_both_numbers(right: Point) -> None:
    main = right.programs["main"]
    assert [*unlike(right)] == []
    few = replace(right, work=replace(right.work, weight_bytes=400, flop=7.0))
    parameters, operations = unlike(few)
    assert parameters == f"{right.title}: the module has 8,448 parameters, and 100 are declared"
    assert operations == f"{right.title}: PyTorch counts 131,072 operations of a call, and 7 are declared"
    wide = replace(main.outputs[0], shape=(2, 2))
    (outputs,) = unlike(replace(right, programs={"main": replace(main, outputs=(wide, *main.outputs[1:]))}))
    assert "the module returns float32[1, 8, 32], float32[1, 1, 32], and float32[2, 2]" in outputs
