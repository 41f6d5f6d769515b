"""Change points against every possible division, and what they make of steps, drifts and single values."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.stats.change_points import FEWEST, change_points, drawn_in, noise_of


def cost(values, places, penalty):
    parts = np.split(np.asarray(values), places)
    return sum(float(((part - part.mean()) ** 2).sum()) for part in parts) + penalty * len(places)


def divisions(count):
    for number in range(count // FEWEST):
        for places in itertools.combinations(range(1, count), number):
            ends = (0, *places, count)
            if all(after - before >= FEWEST for before, after in itertools.pairwise(ends)):
                yield list(places)


@given(
    st.lists(st.floats(-6, 6).map(lambda x: round(x, 3)), min_size=2 * FEWEST, max_size=11),
    st.sampled_from([0.5, 2.0, 8.0]),
)
def test_no_division_costs_less(values, penalty):
    found = list(change_points(values, 1.0, penalty))
    drawn = drawn_in(np.asarray(values), 1.0)
    assert found in list(divisions(len(values)))
    assert cost(drawn, found, penalty) <= min(cost(drawn, each, penalty) for each in divisions(len(values))) + 1e-9


@given(st.floats(1e-3, 1e3), st.floats(-5, 5))
def test_neither_unit_nor_level_matters(scale, level):
    series = np.r_[np.zeros(9), np.ones(9)] + np.tile([0.1, -0.1, 0.0], 6)
    assert change_points(series * scale + level, 0.1 * scale, 10) == change_points(series, 0.1, 10) == (9,)


def test_a_step_is_found_where_it_is_and_a_single_value_is_none():
    random = np.random.default_rng(3)
    series = random.standard_normal(60)
    assert change_points(series, 1, 14) == ()
    lucky = series.copy()
    lucky[30] -= 50
    assert change_points(lucky, 1, 14) == ()
    stepped = series.copy()
    stepped[40:] += 4
    assert change_points(stepped, 1, 14) == (40,)
    assert change_points(stepped[:41], 1, 14) == (), "one value is not yet a level"
    assert change_points(stepped[: 40 + FEWEST], 1, 14) == (40,)


def test_noise_is_that_around_levels_that_move():
    random = np.random.default_rng(5)
    series = random.standard_normal(400) + np.repeat([0, 9, -4, 2], 100)
    assert noise_of(series) == pytest.approx(1, abs=0.12)
    assert noise_of([1, 2, 3]) is None


@pytest.mark.parametrize(("values", "noise", "penalty"), [([1.0], 0, 1), ([1.0], 1, 0), ([float("nan")], 1, 1)])
def test_what_has_no_answer_is_refused(values, noise, penalty):
    with pytest.raises(ValueError, match=r"must be above 0|not finite"):
        change_points(values, noise, penalty)
