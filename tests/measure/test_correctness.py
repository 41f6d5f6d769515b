"""The checker on a decode-like program: scale-aware errors, tokens near a tie, untouched places of a cache."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.closeness import LEVELS
from steelyard.core.lowered import InputSet, LoweredPoint, LoweredProgram, Tolerance
from steelyard.core.result import Correctness
from steelyard.core.workload import Identity, Point, Program, StateWindow, TensorSpec, Weights, Work
from steelyard.drivers.generate import check
from steelyard.measure.correctness import Checker

LIMIT = 1e-4
WEIGHTS = Weights(source="m:f", arguments={}, origin="seeded")
STATE = TensorSpec(name="cache.0.k", shape=(1, 1, 6, 2), dtype="float32", role="state")
PROGRAM = Program(
    name="decode",
    source="m:f",
    arguments={},
    weights=WEIGHTS,
    dtype="float32",
    inputs=(TensorSpec(name="input_ids", shape=(1, 1), dtype="int64"), STATE),
    outputs=(
        TensorSpec(name="next_token", shape=(1,), dtype="int64"),
        TensorSpec(name="logits", shape=(1, 4), dtype="float32"),
        STATE,
    ),
)
LOGITS = np.array([[1.0, 5.0, 4.9999, -3.0]])
WINDOW = StateWindow(axis=2, start=3, length=1)


def lowered() -> LoweredPoint:
    point = Point(
        suite="s",
        suite_version=1,
        workload="decode",
        axes={},
        driver="call",
        programs={"main": PROGRAM},
        settings={},
        pool="m:f",
        window=WINDOW,
        work=Work(flop=None, weight_bytes=None, items=1, unit="tokens"),
    )
    return LoweredPoint(
        point=point,
        identity=Identity(definition="", weights="", inputs="", reference=""),
        programs={"main": LoweredProgram(program=PROGRAM, weights_file="", artifacts={})},
        pool=(InputSet(inputs="", reference="", tokens=((1, 2, 3),)),) * 2,
        tolerances={name: Tolerance(floor=LIMIT / 10, limit=LIMIT) for name in ("logits", "cache.0.k")},
    )


class Outputs:
    """A binding that has run."""

    def __init__(self, **arrays: Any) -> None:
        self.arrays = {name.replace("__", "."): array for name, array in arrays.items()}

    def read(self, names: tuple[str, ...]) -> Mapping[str, Any]:
        return {name: self.arrays[name] for name in names}


BEFORE = np.arange(12, dtype=np.float32).reshape(1, 1, 6, 2)
WRITTEN = np.array([[[[20.0, -7.0]]]])


def after(**changes: Any) -> Outputs:
    state = BEFORE.copy()
    state[:, :, 3:4] = WRITTEN
    arrays = {"next_token": np.array([1]), "logits": LOGITS.astype(np.float32), "cache__0__k": state}
    return Outputs(**{**arrays, **changes})


def checked(*calls: tuple[int, Outputs], stated: float | None = None, kept: float | None = None) -> Correctness:
    references = [{"logits": LOGITS, "cache.0.k": WRITTEN}, {"logits": LOGITS * 2, "cache.0.k": WRITTEN}]
    checker = Checker(lowered().within(stated), references, [{"cache.0.k": BEFORE}] * 2)
    for slot, outputs in calls:
        checker.program_call(slot, PROGRAM, outputs)  # type: ignore[arg-type]
    if kept is not None:
        checker.keeps(kept)
    return checker.verdict()


def test_right_outputs_pass_and_their_errors_are_kept() -> None:
    verdict = checked((0, after()))
    assert verdict.passed, verdict.reason
    errors = {check.output: check.relative_l2 for check in verdict.outputs}
    assert 0 < errors["logits"] < LIMIT
    assert errors["cache.0.k"] == 0


def test_each_output_says_at_which_tolerance_level_it_is_close_and_all_the_worst_of_them() -> None:
    far = LOGITS.astype(np.float32).copy()
    far[0, 0] += 2e-3
    verdict = checked((0, after()), (0, after(logits=far)), (0, after()))
    levels = {check.output: check.level for check in verdict.outputs}
    assert levels["cache.0.k"] == LEVELS.start
    assert levels["logits"] == -2  # an error of 0.002 at a logit of 1, for which level -3 leaves 0.0013
    assert levels["next_token"] is None
    assert verdict.level == levels["logits"]


@given(st.floats(-30, 30), st.floats(0, 1e-2))
def test_the_error_does_not_depend_on_scale(exponent: float, relative: float) -> None:
    scale = 2.0**exponent
    checker = Checker(lowered(), [{"logits": LOGITS * scale}], [{}])
    noise = np.array([[0.6, -0.8, 0.0, 0.0]]) * np.linalg.norm(LOGITS) * scale * relative
    checker._compare("logits", LOGITS * scale + noise, LOGITS * scale)
    (check,) = checker.verdict().outputs if checker.calls else (checker._judge("logits", checker._worst["logits"]),)
    assert check.relative_l2 == pytest.approx(relative, rel=1e-6, abs=1e-12)
    if abs(relative - LIMIT) > 1e-9:
        assert check.passed == (relative <= LIMIT)


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.filterwarnings("ignore:invalid value")
def test_numbers_whose_squares_are_too_large_never_pass() -> None:
    checker = Checker(lowered(), [{"logits": LOGITS * 1e200}], [{}])
    checker._compare("logits", -LOGITS * 1e200, LOGITS * 1e200)
    assert not checker._judge("logits", checker._worst["logits"]).passed


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (3, -np.inf, ""),
        (3, np.inf, "logits: holds NaN or infinity elsewhere than its reference"),
        (3, -3.0, "logits: holds NaN or infinity elsewhere than its reference"),
        (0, -np.inf, "logits: holds NaN or infinity elsewhere than its reference"),
        (0, np.nan, "logits: holds NaN or infinity elsewhere than its reference"),
        (
            0,
            1.1,
            "logits: relative error 0.014 exceeds 0.0001; if it is meant to approximate, --tolerance 0.015 says so",
        ),
        (0, 5.0, "logits: relative error 0.56 exceeds 0.0001"),
    ],
)
def test_an_infinity_is_right_where_the_reference_has_it_and_nowhere_else(place: int, value: float, said: str) -> None:
    reference = LOGITS.copy()
    reference[0, 3] = -np.inf
    actual = reference.copy()
    actual[0, place] = value
    checker = Checker(lowered(), [{"logits": reference}], [{}])
    spec = PROGRAM.outputs[1]
    checker.program_call(0, replace(PROGRAM, outputs=(spec,)), Outputs(logits=actual))  # type: ignore[arg-type]
    assert checker.verdict().reason == said


def test_a_token_may_differ_only_within_the_tolerance_of_the_logits() -> None:
    assert checked((0, after(next_token=np.array([2])))).passed  # 4.9999 against 5
    wrong = checked((0, after(next_token=np.array([0]))))
    assert not wrong.passed
    assert "token 0 is not the most likely one" in wrong.reason
    assert "not in the vocabulary" in checked((0, after(next_token=np.array([4])))).reason


def test_places_outside_the_window_must_not_change() -> None:
    state = after().arrays["cache.0.k"].copy()
    state[0, 0, 5, 1] += 1e-3
    verdict = checked((0, after(cache__0__k=state)))
    assert not verdict.passed
    assert "outside the written window changed" in verdict.reason


def test_a_write_at_the_wrong_place_is_wrong_twice() -> None:
    state = BEFORE.copy()
    state[:, :, 2:3] = WRITTEN
    assert not checked((0, after(cache__0__k=state))).passed


def test_an_output_that_ignores_its_input_is_caught_even_inside_the_tolerance() -> None:
    verdict = checked((0, after()), (1, after()))
    assert not verdict.passed
    assert "does not depend on the input" in verdict.reason


def test_nothing_checked_is_not_a_pass() -> None:
    assert not checked().passed


def test_answers_must_have_the_reference_tokens_up_to_the_ambiguous_step() -> None:
    checker, entry = Checker(lowered(), [{"logits": LOGITS}] * 2, [{}] * 2), lowered().pool[0]
    check(checker, 0, entry, np.array([[1, 2, 3]]), LOGITS.astype(np.float32))
    assert checker.verdict().passed
    check(checker, 1, entry, np.array([[1, 7, 3]]), LOGITS.astype(np.float32))
    assert "token 2 of answer 2 is 7 instead of 2" in checker.verdict().reason


def off(relative: float) -> Outputs:
    noise = np.array([[0.0, 0.0, 0.0, 1.0]]) * np.linalg.norm(LOGITS) * relative
    return after(logits=(LOGITS + noise).astype(np.float32))


def test_an_error_beyond_the_dtype_and_within_what_was_stated_passes_as_an_approximation() -> None:
    verdict = checked((0, off(5e-4)), stated=1e-3)
    assert verdict.passed, verdict.reason
    assert verdict.approximate == (
        "logits: relative error 0.0005 exceeds 0.0001, what its dtype allows, and lies within the stated tolerance of "
        "0.001"
    )
    held = {check.output: (check.tolerance, check.default_tolerance) for check in verdict.outputs}
    assert held["logits"] == (1e-3, LIMIT)


def test_beyond_what_was_stated_right_answers_decide() -> None:
    verdict = checked((0, off(0.0123)), stated=1e-3, kept=0.96)
    assert verdict.passed, verdict.reason
    assert verdict.approximate == (
        "logits: relative error 0.012 exceeds 0.0001, what its dtype allows, and the stated tolerance of 0.001; 96.0% "
        "as many answers are right as in the reference"
    )
    lost = checked((0, off(0.0123)), stated=1e-3, kept=0.94)
    assert not lost.passed
    assert "exceeds 0.001, and 94.0% as many answers are right as in the reference, where 95% are" in lost.reason
    assert not checked((0, off(1.5)), stated=1e-3, kept=1.0).passed, "nothing excuses an error like that of zeros"
    assert checked((0, off(5e-4)), stated=1e-3, kept=0.5).passed, "within what was stated nothing more is asked"


@pytest.mark.parametrize("kept", [0.96, 1.0])
def test_right_answers_forgive_no_error_where_no_approximation_was_stated(kept: float) -> None:
    assert not checked((0, off(0.0123)), kept=kept).passed
    constant = after(logits=np.ones((1, 4), np.float32))
    assert not checked((0, constant), stated=1e-3, kept=kept).passed


def test_what_did_not_need_the_stated_tolerance_is_not_approximate() -> None:
    verdict = checked((0, off(5e-5)), stated=1e-3)
    assert verdict.passed
    assert verdict.approximate == ""


def test_a_stated_tolerance_never_asks_for_more_than_the_dtype_can_give() -> None:
    verdict = checked((0, off(5e-5)), stated=1e-6)
    assert verdict.passed
    assert {check.default_tolerance for check in verdict.outputs} == {None}


@pytest.mark.parametrize(("stated", "against"), [(None, "0.0001"), (1e-3, "0.001")])
def test_an_error_beyond_all_of_them_says_what_would_have_to_be_stated(stated: float | None, against: str) -> None:
    verdict = checked((0, off(0.0123)), stated=stated)
    assert not verdict.passed
    assert verdict.approximate == ""
    assert verdict.reason == (
        f"logits: relative error 0.012 exceeds {against}; if it is meant to approximate, --tolerance 0.013 says so"
    )
    assert checked((0, off(0.0123)), stated=0.013).passed


def test_no_tolerance_makes_zeros_or_a_wrong_token_right_and_none_is_advised() -> None:
    for outputs in (after(logits=np.zeros((1, 4), np.float32)), after(next_token=np.array([3]))):
        verdict = checked((0, outputs), stated=0.1)
        assert not verdict.passed
        assert "--tolerance" not in verdict.reason


def test_a_token_may_differ_within_the_stated_tolerance_of_the_logits() -> None:
    logits = LOGITS.copy()
    logits[0, 2] = 5.001  # off by 1.6e-4 of the norm: another token, and right
    outputs = after(next_token=np.array([2]), logits=logits.astype(np.float32))
    assert not checked((0, outputs)).passed
    assert checked((0, outputs), stated=1e-3).passed


def test_the_reference_answer_is_fed_where_an_approximation_may_choose_other_tokens() -> None:
    assert {entry.forced_from for entry in lowered().within(LIMIT).pool} == {None}
    checker, entry = Checker(lowered().within(1e-3), [{"logits": LOGITS}] * 2, [{}] * 2), lowered().within(1e-3).pool[0]
    check(checker, 0, entry, np.array([[1, 7, 3]]), off(5e-4).arrays["logits"])
    assert checker.verdict().passed
    check(checker, 0, entry, np.array([[1, 7, 3]]), off(5e-3).arrays["logits"])
    assert not checker.verdict().passed
