"""What a proof tells is judged, whoever wrote the runner and whatever it objects to itself."""

import dataclasses

import pytest

from steelyard.core.backend import Budget
from steelyard.core.result import Proof
from steelyard.engine.judging import unkept

BUDGET = Budget(threads=2, cpus=(0, 1))
PROOF = Proof(runtime="mine", versions={}, platform="cpu", dtype="float32", threads=2, graphs=1, graph_breaks=0)


@pytest.mark.parametrize(
    ("told", "objection"),
    [
        ({"threads": 3}, "3 threads compute, the budget says 2"),
        ({"dtype": "bfloat16"}, "computed in bfloat16, the program is float32"),
        ({"graphs": 0}, "the compiler was given no graph: the program ran as it was written"),
        ({"graph_breaks": 2}, "2 graph breaks: parts of the program ran as they were written"),
        ({"mismatches": ("ran elsewhere",)}, "ran elsewhere"),
    ],
)
def test_what_is_not_as_asked_for_is_an_objection(told, objection) -> None:
    assert unkept(dataclasses.replace(PROOF, **told), "float32", BUDGET) == (objection,)


@pytest.mark.parametrize(
    "told",
    [{}, {"threads": None}, {"graphs": None, "graph_breaks": None}, {"dtype": "float64"}, {"dtype": "my own float"}],
)
def test_what_is_as_asked_for_or_not_told_is_none(told) -> None:
    assert unkept(dataclasses.replace(PROOF, **told), "float32", BUDGET) == ()


def test_a_narrower_type_may_be_allowed() -> None:
    free = dataclasses.replace(BUDGET, precision="runtime")
    assert unkept(dataclasses.replace(PROOF, dtype="bfloat16"), "float32", free) == ()
