"""The check of a stand-alone script comes to the verdict of the run, whatever the outputs are."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.adapters.scripts import text_of
from steelyard.core.lowered import InputSet, LoweredPoint, LoweredProgram, Tolerance
from steelyard.core.workload import CHOSEN_FROM, Identity, Point, Program, StateWindow, TensorSpec, Weights, Work
from steelyard.measure.correctness import Checker

LIMIT = 1e-3
STATE = TensorSpec(name="cache", shape=(2, 4, 2), dtype="float32", role="state")
WEIGHTS = Weights(source="m:f", arguments={}, origin="seeded")
PROGRAM = Program(
    name="decode",
    source="m:f",
    arguments={},
    weights=WEIGHTS,
    dtype="float32",
    inputs=(STATE,),
    outputs=(
        TensorSpec(name="next_token", shape=(2,), dtype="int64"),
        TensorSpec(name="logits", shape=(2, 3), dtype="float32"),
        STATE,
    ),
)
POINT = Point(
    suite="s",
    suite_version=1,
    workload="decode",
    axes={},
    driver="call",
    programs={"main": PROGRAM},
    settings={},
    pool="m:f",
    window=StateWindow(axis=1, start=1, length=1),
    work=Work(flop=None, weight_bytes=None, items=1, unit="tokens"),
)
LOWERED = LoweredPoint(
    point=POINT,
    identity=Identity(definition="", weights="", inputs="", reference=""),
    programs={"main": LoweredProgram(program=PROGRAM, weights_file="", artifacts={})},
    pool=(InputSet(inputs="", reference=""),),
    tolerances={name: Tolerance(floor=LIMIT / 10, limit=LIMIT) for name in ("logits", "cache")},
)
LOGITS = np.array([[1.0, 2.0, 1.9], [5e4, 1.0, -1e5]])
"""The first row is small beside the second: held against the norm of both, any of its tokens would do."""
BEFORE = np.arange(16, dtype=np.float32).reshape(2, 4, 2)
WRITTEN = np.array([[[20.0, -7.0]], [[3.0, 8.0]]])


class Outputs:
    """A call that has run, for the script and for the run."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self.arrays = arrays

    def outputs(self) -> Mapping[str, Any]:
        return self.arrays

    def read(self, names: tuple[str, ...]) -> Mapping[str, Any]:
        return {name: self.arrays[name] for name in names}


def right() -> dict[str, Any]:
    state = BEFORE.copy()
    state[:, 1:2] = WRITTEN
    return {"next_token": np.array([1, 0]), "logits": LOGITS.astype(np.float32), "cache": state}


def verdicts(arrays: Mapping[str, Any], *, inputs: Mapping[str, Any] | None = None) -> tuple[bool, bool]:
    """Whether the script finds the outputs right, and whether the run does."""
    given_ = {"cache": BEFORE} if inputs is None else inputs
    reference = {"logits": LOGITS, "cache": WRITTEN}
    script: dict[str, Any] = {
        "__name__": "repro",
        "np": np,
        "OUTPUTS": {spec.name: (spec.dtype, list(spec.shape)) for spec in PROGRAM.outputs},
        "STATE": ["cache"],
        "WINDOW": (1, 1, 1),
        "CHOSEN_FROM": dict(CHOSEN_FROM),
        "TOLERANCE": {name: each.allowed for name, each in LOWERED.tolerances.items()},
    }
    exec(compile(text_of("measure"), "repro.py", "exec"), script)
    worst: dict[str, float] = {}
    script["check"](Outputs(arrays), given_, reference, worst)
    checker = Checker(LOWERED, [reference], [given_])
    checker.program_call(0, PROGRAM, Outputs(arrays))  # type: ignore[arg-type]
    return not script["wrong"](worst), checker.verdict().passed


def test_right_outputs_are_right() -> None:
    assert verdicts(right()) == (True, True)


@pytest.mark.parametrize("tokens", [(0, 0), (2, 0), (1, 1), (-2, 0), (1, -3), (3, 0), (1, 9)])
def test_a_token_is_held_against_the_logits_of_its_own_row(tokens: tuple[int, int]) -> None:
    assert verdicts({**right(), "next_token": np.array(tokens)}) == (False, False)


@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_state_that_changes_outside_the_window_is_wrong(place: int, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = right()
    arrays["cache"][1, place, 0] = 777
    assert verdicts(arrays) == (False, False)
    assert "WRONG: cache outside its window: " in capsys.readouterr().out


def test_a_state_that_is_not_given_is_zero_outside_the_window() -> None:
    arrays = right()
    assert verdicts(arrays, inputs={}) == (False, False)
    arrays["cache"][:, [0, 2, 3]] = 0
    assert verdicts(arrays, inputs={}) == (True, True)


@given(
    st.sampled_from(["logits", "cache"]),
    st.integers(0, 1),
    st.integers(0, 1),
    st.one_of(st.floats(0.5, 1.5), st.sampled_from([np.nan, np.inf, -np.inf, 1 + 1e-5, 1e38])),
)
def test_the_script_says_what_the_run_says(name: str, row: int, column: int, factor: float) -> None:
    arrays = right()
    with np.errstate(over="ignore"):
        arrays[name][(row, column) if name == "logits" else (row, 1, column)] *= np.float32(factor)
    script, run = verdicts(arrays)
    assert script == run
