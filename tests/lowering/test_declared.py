"""An author's mistakes are found before any backend is asked, named with workload, program and remedy."""

import dataclasses
import re
from pathlib import Path

import pytest

from steelyard.lowering.lower import lower
from steelyard.lowering.request import LoweringRequest, LoweringResponse
from tests.fakes.mistaken import FORWARDS, point

pytest.importorskip("torch")

SAID = {
    "dict": r"program 'forward': its forward returns a dict; return a tuple of tensors in the order of the outputs: y$",
    "bare tensor for two": r"program 'forward': the module gave 1 outputs instead of 2 \(y, z\); return a tuple",
    "none": r"program 'forward', output 'y' is a NoneType, not a tensor",
    "shape": r"output 'y' is float32\[4, 8\], and declared as float32\[4, 7\]: correct its TensorSpec or the code",
    "dtype": r"output 'y' is float32\[4, 8\], and declared as int64\[4, 8\]",
    "raises": r"program 'forward': its forward failed: AttributeError: .*'missing' \(tests/fakes/mistaken.py:\d+\)$",
    "dropout": r"program 'forward', output 'y': not deterministic: two calls with the same inputs differ by",
    "other weights": r"mistaken:write wrote other weights than .*mistaken:build has: 1 tensors missing: w",
    "no module": r"program 'forward': tests.fakes.mistaken:build returned str, not a torch module",
    "no reference": r"mistaken:make, output 'z' has no reference: give it in PoolEntry.references",
    "reference shape": r"mistaken:make, output 'y': its reference is \[2, 8\], the output \[4, 8\]",
    "reference text": r"mistaken:make, output 'y': its reference is a str, not a tensor",
    "nan": r"mistaken:make, output 'y': its reference holds NaN",
    "overflow": r"output 'y' computed in float32 without optimisation differs from float64 by inf .*use a wider dtype",
    "input": r"mistaken:make, input 'x' is float32\[2, 8\], and declared as float32\[4, 8\]",
    "in place": r"program 'forward' changes its input 'x' in place",
    "no such pool": r"tests.fakes.mistaken:absent: .*has no attribute 'absent'",
    "pool raises": r"mistaken:make failed: ValueError: there are no inputs to be had \(tests/fakes/mistaken.py:\d+\)$",
}
FINE = ("right", "bare tensor", "minus infinity")


@pytest.fixture(scope="module")
def lowered(tmp_path_factory: pytest.TempPathFactory) -> LoweringResponse:
    """All of them in one request."""
    cache = tmp_path_factory.mktemp("cache")
    points = tuple(point(name) for name in FORWARDS)
    return lower(LoweringRequest(points=points, formats=(), cache=str(cache), pool=2), lambda step: None)


def test_every_mistake_has_its_words(lowered: LoweringResponse) -> None:
    assert {*SAID, *FINE} == set(FORWARDS)
    assert [failure.title for failure in lowered.failures if not failure.by_suite] == []
    assert {failure.title for failure in lowered.failures} == set(SAID)


@pytest.mark.parametrize("name", SAID)
def test_a_mistake_is_the_suites_and_names_workload_program_and_remedy(lowered: LoweringResponse, name: str) -> None:
    (reason,) = (failure.reason for failure in lowered.failures if failure.title == name)
    begins = f"suite error: suite 'mistaken', workload '{name}': "
    assert reason.startswith(begins)
    assert re.search(SAID[name], reason), reason


def test_a_bare_tensor_and_an_infinity_that_is_meant_are_no_mistakes(lowered: LoweringResponse) -> None:
    assert [entry.point.workload for entry in lowered.points] == list(FINE)
    assert all(entry.tolerances["y"].floor < 1e-6 for entry in lowered.points)


def test_weights_of_a_user_are_not_the_authors(tmp_path: Path) -> None:
    wrong = point("other weights")
    program = wrong.programs["main"]
    users = dataclasses.replace(program, weights=dataclasses.replace(program.weights, origin="checkpoint"))
    request = LoweringRequest(
        points=(dataclasses.replace(wrong, programs={"main": users}),), formats=(), cache=str(tmp_path), pool=2
    )
    (failure,) = lower(request, lambda step: None).failures
    assert (failure.error, failure.by_suite) == ("CheckpointError", False)
