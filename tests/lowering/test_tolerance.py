"""Tolerances: bounds, scale, ambiguous tokens."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from steelyard.suites.kernels import SUITE as KERNELS

from steelyard.core.errors import SuiteError
from steelyard.core.workload import Selection
from steelyard.lowering import references
from steelyard.lowering.lower import lower
from steelyard.lowering.references import point_key
from steelyard.lowering.request import LoweringRequest
from steelyard.lowering.tolerance import BOUNDS, FACTOR, forced_from, relative_l2, tolerance
from steelyard.lowering.written import written_by

torch = pytest.importorskip("torch")

SMALL = st.floats(0, 1e-3)


@given(st.lists(SMALL, min_size=1), st.sampled_from(["float32", "bfloat16", "float16"]))
def test_the_limit_is_ten_floors_within_bounds(errors, dtype):
    found = tolerance("p", "o", dtype, errors)
    low, high = BOUNDS[dtype]
    assert found.floor == max(errors)
    assert low <= found.limit <= high
    assert found.limit >= found.floor
    if low < FACTOR * found.floor < high:
        assert found.limit == FACTOR * found.floor


def test_a_sum_of_many_values_may_be_added_in_any_order_and_a_wrong_one_is_not_right():
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(1 << 20, generator=generator)
    right = values.double().sum()
    one_after_the_other = np.add.accumulate(values.numpy())[-1]
    error = relative_l2(torch.tensor(one_after_the_other), right)
    alone, told = (tolerance("p", "o", "float32", [1e-8], terms).limit for terms in (1, values.numel()))
    assert alone == BOUNDS["float32"][0]
    assert told == pytest.approx(1024 * 2**-24)
    assert alone < error < told
    assert tolerance("p", "o", "float32", [0.0], 1e12).limit == BOUNDS["float32"][1]


def test_the_tolerance_of_a_loss_grows_with_what_is_summed_and_is_cached_by_its_rule(tmp_path, monkeypatch):
    (point,) = KERNELS.points(Selection(device_kind="cpu", workloads=("squared_error",), size="small"))
    asked = LoweringRequest(points=(point,), formats=(), cache=str(tmp_path), pool=1)
    (made,) = lower(asked, lambda told: None).points
    assert made.tolerances["loss"].limit == pytest.approx(math.sqrt(2 * 512 * 1024) * 2**-24)
    written = written_by(point, point.sources)
    before = point_key(point, 1, written)
    monkeypatch.setattr(references, "RULE", references.RULE + 1)
    assert point_key(point, 1, written) != before


@pytest.mark.parametrize("error", [2e-3, math.inf, math.nan])
def test_an_ill_conditioned_program_is_refused(error):
    with pytest.raises(SuiteError, match=r"decode, output 'logits' .* float32 .* use a wider dtype"):
        tolerance("decode", "logits", "float32", [error])


def test_bfloat16_arithmetic_does_not_pass_as_float32():
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(64, 64, generator=generator, dtype=torch.float64) for _ in range(2))
    error = relative_l2((left.bfloat16() @ right.bfloat16()).double(), left @ right)
    assert error > BOUNDS["float32"][1]
    assert error < BOUNDS["bfloat16"][1]


@given(st.floats(1e-6, 1e6))
def test_the_relative_error_does_not_depend_on_scale(scale):
    reference = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    actual = reference + 1e-3
    assert relative_l2(actual * scale, reference * scale) == pytest.approx(relative_l2(actual, reference))


def test_the_relative_error_of_zeros_and_nan():
    zeros = torch.zeros(3, dtype=torch.float64)
    assert relative_l2(zeros, zeros) == 0.0
    assert relative_l2(zeros + 1, zeros) == math.inf
    assert relative_l2(zeros * math.nan, zeros + 1) == math.inf


def test_equal_infinities_do_not_differ_and_have_no_size():
    reference = torch.tensor([3.0, -math.inf, 4.0], dtype=torch.float64)
    assert relative_l2(reference.clone(), reference) == 0.0
    assert relative_l2(torch.tensor([3.0, -math.inf, 4.5]), reference) == pytest.approx(0.1)
    assert relative_l2(torch.tensor([3.0, 0.0, 4.0]), reference) == math.inf
    assert relative_l2(torch.tensor([3.0, -math.inf, -math.inf]), reference) == math.inf


@given(st.lists(st.floats(0, 10)), st.floats(1e-9, 1))
def test_tokens_are_forced_from_the_first_close_step(margins, error):
    step = forced_from(margins, error)
    close = [margin < 2 * FACTOR * error for margin in margins]
    assert step == (close.index(True) if any(close) else None)
