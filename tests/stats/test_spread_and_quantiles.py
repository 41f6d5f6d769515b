"""Spread, dependence, percentiles, proportions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from steelyard.stats.quantile import clopper_pearson, percentile, supported
from steelyard.stats.spread import (
    autocorrelation,
    coefficient_of_variation,
    describe,
    effective_sample_size,
    lag1_autocorrelation,
    mad,
    share_beyond,
)


def ar1(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    noise = rng.normal(size=n) * np.sqrt(1 - rho**2)
    values = np.empty(n)
    values[0] = rng.normal()
    for index in range(1, n):
        values[index] = rho * values[index - 1] + noise[index]
    return values


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=60))
def test_describe_says_what_the_single_functions_say(values: list[float]) -> None:
    found = describe(values)
    assert found.mad == pytest.approx(mad(values)) == pytest.approx(scipy_stats.median_abs_deviation(values))
    assert found.far_share == pytest.approx(share_beyond(values), abs=0.5 / len(values))
    assert found.lag1 == lag1_autocorrelation(values)
    assert found.effective_samples == effective_sample_size(values)
    if found.effective_samples is not None:
        assert 1 <= found.effective_samples <= len(values)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8, 0.99])
def test_effective_sample_size_of_an_autoregression(rho: float) -> None:
    values = ar1(np.random.default_rng(2), 40_000, rho)
    assert lag1_autocorrelation(values) == pytest.approx(rho, abs=0.02)
    expected = 40_000 * (1 - rho) / (1 + rho)
    assert effective_sample_size(values) == pytest.approx(expected, rel=0.35 if rho > 0.9 else 0.1)
    assert autocorrelation(values)[:2] == pytest.approx([1.0, rho], abs=0.02)


def test_without_variation_nothing_is_claimed() -> None:
    assert lag1_autocorrelation([3.0] * 9) is None
    assert effective_sample_size([3.0] * 9) is None
    assert coefficient_of_variation([3.0]) is None
    assert coefficient_of_variation([1.0, 3.0]) == pytest.approx(2**0.5 / 2)
    with pytest.raises(ValueError, match="at least one finite"):
        mad([])


def test_percentiles_need_ten_samples_beyond_them() -> None:
    assert supported(100, 0.9)
    assert not supported(99, 0.9)
    assert percentile(np.arange(999.0), 0.99) is None
    assert percentile(np.arange(1000.0), 0.99) is not None
    with pytest.raises(ValueError, match="between 0 and 1"):
        percentile([1.0], 1.0)


@pytest.mark.parametrize(("n", "p"), [(100, 0.9), (200, 0.9), (1000, 0.99)])
def test_percentile_interval_is_scipys(n: int, p: float) -> None:
    values = np.random.default_rng(n).gumbel(size=n)
    found = percentile(values, p)
    assert found is not None
    assert found.interval is not None
    expected = scipy_stats.quantile_test(values, q=np.quantile(values, p), p=p).confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == (expected.low, expected.high)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.9, 0.95]))
def test_clopper_pearson_equals_scipy(case: tuple[int, int], confidence: float) -> None:
    found = clopper_pearson(*case, confidence)
    expected = scipy_stats.binomtest(*case).proportion_ci(confidence, method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_proportion_must_be_one() -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        clopper_pearson(3, 2)
