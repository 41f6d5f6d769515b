"""Student's t by its finite series, held against scipy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from steelyard.stats import student


@given(st.floats(-30, 30), st.integers(1, 200))
def test_the_distribution(t: float, df: int) -> None:
    assert student.cdf(t, df) == pytest.approx(stats.t.cdf(t, df), abs=1e-12)


@given(st.floats(1e-6, 1 - 1e-6), st.integers(1, 60))
def test_the_quantile_turns_it_round(p: float, df: int) -> None:
    assert student.cdf(student.quantile(p, df), df) == pytest.approx(p, abs=1e-12)


@pytest.mark.parametrize(("p", "df"), [(0.0, 3), (1.0, 3), (0.975, 0)])
def test_what_has_no_quantile_is_refused(p: float, df: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        student.quantile(p, df)
