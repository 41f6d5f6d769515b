"""A tolerance stated by hand: which one holds, which are refused, and that nothing changes where none is stated."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.backend import Budget, parse_backend
from steelyard.core.case import Case
from steelyard.core.errors import UsageError
from steelyard.core.tolerance import check_stated, needed
from tests.fakes.runs import llm_points

(POINT,) = llm_points(("decode",))


def case(point=POINT, **budget) -> Case:
    return Case(
        point=point,
        backend=parse_backend("eager"),
        device_kind="cpu",
        scenario="single-stream",
        budget=Budget(threads=2, cpus=(0, 1), **budget),
    )


def test_the_command_line_goes_before_the_workload() -> None:
    declared = replace(POINT, tolerance=1e-2)
    assert (case().tolerance, case().stated) == (None, "")
    assert (case(declared).tolerance, case(declared).stated) == (1e-2, "0.01, stated by the workload")
    assert case(declared, tolerance=1e-3).stated == "0.001, stated by --tolerance"


def test_a_case_under_a_tolerance_is_another_case_and_all_others_keep_their_ids() -> None:
    assert case().id == "afa9fe9159781557", "as it was before tolerances could be stated"
    assert case(tolerance=None).id == case().id
    assert len({case().id, case(tolerance=1e-3).id, case(tolerance=1e-2).id}) == 3
    assert replace(POINT, tolerance=None).key == POINT.key
    assert replace(POINT, tolerance=1e-3).key != POINT.key


@pytest.mark.parametrize("tolerance", [0.0, -1e-3, 1.0, 5.0, float("nan"), float("inf")])
def test_what_is_no_relative_error_is_refused_with_its_place(tolerance: float) -> None:
    with pytest.raises(UsageError, match=r"--tolerance: .* is no tolerance: .*above 0 and below 1"):
        check_stated(tolerance, "--tolerance")


@given(st.floats(1e-15, 0.98))
def test_what_is_advised_is_enough_and_not_much_more(error: float) -> None:
    advised = needed(error)
    assert advised is not None
    assert error <= advised <= 1.11 * error
    check_stated(advised, "--tolerance")
    assert float(f"{advised:g}") == advised


@pytest.mark.parametrize("error", [1.0, 3.0, float("inf"), float("nan")])
def test_nothing_is_advised_where_nothing_can_be_stated(error: float) -> None:
    assert needed(error) is None
