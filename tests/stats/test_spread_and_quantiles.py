"""Spread, dependence, percentiles, proportions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from steelyard.stats.quantile import clopper_pearson, clustered_percentile, needed, of_sorted, supported
from steelyard.stats.spread import MAD_TO_SD, autocorrelation, coefficient_of_variation, describe_rows


def ar1(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    noise = rng.normal(size=n) * np.sqrt(1 - rho**2)
    values = np.empty(n)
    values[0] = rng.normal()
    for index in range(1, n):
        values[index] = rho * values[index - 1] + noise[index]
    return values


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=60))
def test_a_launch_is_described_as_numpy_and_scipy_would(values: list[float]) -> None:
    width, far, lag1, effective = (float(column[0]) for column in describe_rows([values]))
    assert width == pytest.approx(scipy_stats.median_abs_deviation(values))
    beyond = np.abs(np.array(values) - np.median(values)) > 3 * MAD_TO_SD * width
    assert far == pytest.approx(beyond.mean(), abs=0.5 / len(values))
    assert np.isnan(lag1) == np.isnan(effective)
    assert np.isnan(effective) or 1 <= effective <= len(values)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8, 0.99])
def test_effective_sample_size_of_an_autoregression(rho: float) -> None:
    values = ar1(np.random.default_rng(2), 40_000, rho)
    found = describe_rows([values])
    assert found.lag1[0] == pytest.approx(rho, abs=0.02)
    expected = 40_000 * (1 - rho) / (1 + rho)
    assert found.effective_samples[0] == pytest.approx(expected, rel=0.35 if rho > 0.9 else 0.1)
    assert autocorrelation(values)[:2] == pytest.approx([1.0, rho], abs=0.02)


def test_without_variation_nothing_is_claimed() -> None:
    found = describe_rows([[3.0] * 9])
    assert (found.mad[0], found.far_share[0]) == (0, 0)
    assert np.isnan([found.lag1[0], found.effective_samples[0]]).all()
    assert coefficient_of_variation([3.0]) is None
    assert coefficient_of_variation([1.0, 3.0]) == pytest.approx(2**0.5 / 2)
    with pytest.raises(ValueError, match="at least one finite"):
        describe_rows([[]])


def test_percentiles_need_ten_samples_beyond_them() -> None:
    assert supported(100, 0.9)
    assert not supported(99, 0.9)
    assert clustered_percentile([np.arange(999.0)], 0.99) is None
    assert clustered_percentile([np.arange(1000.0)], 0.99) is not None


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40), st.floats(0.01, 0.99))
def test_quantile_of_what_is_sorted_is_numpys(values: list[float], p: float) -> None:
    assert of_sorted(np.sort(values), p) == pytest.approx(np.quantile(values, p), abs=1e-9)


def test_needed_is_the_first_that_is_supported() -> None:
    for p in (0.5, 0.9, 0.95, 0.99):
        assert supported(needed(p), p)
        assert not supported(needed(p) - 1, p)


def test_many_launches_are_described_as_one_by_one() -> None:
    rng = np.random.default_rng(6)
    rows = np.array([ar1(rng, 300, rho) for rho in (0.0, 0.5, 0.97, 0.999)] + [np.full(300, 2.0)])
    found = describe_rows(rows)
    for row, values in enumerate(rows):
        alone = describe_rows([values])
        assert found.mad[row] == alone.mad[0]
        assert found.far_share[row] == alone.far_share[0]
        assert found.lag1[row] == pytest.approx(alone.lag1[0], nan_ok=True)
        assert found.effective_samples[row] == pytest.approx(alone.effective_samples[0], nan_ok=True)
        if row < len(rows) - 1:
            assert found.effective_samples[row] == pytest.approx(geyer(values))


def geyer(values: np.ndarray) -> float:
    """The effective sample size from the definition: pairs of autocorrelations up to the first that is not positive."""
    rho = autocorrelation(values)
    total = 0.0
    for lag in range(0, len(values) - 1, 2):
        if rho[lag] + rho[lag + 1] <= 0:
            break
        total += rho[lag] + rho[lag + 1]
    return min(max(len(values) / (2 * total - 1), 1.0), len(values))


def test_a_percentile_over_launches_says_what_it_lacks() -> None:
    launches = [np.arange(30.0)] * 3
    assert clustered_percentile(launches, 0.9) is None
    one = clustered_percentile([np.arange(200.0)], 0.9)
    assert one is not None
    assert (one.n, one.interval) == (1, None)
    assert "one launch" in one.reason
    apart = clustered_percentile([np.arange(100.0), np.arange(100.0) + 300], 0.9)
    assert apart is not None
    assert apart.interval is None
    assert "do not bound the 90 % quantile" in apart.reason


@pytest.mark.statistical
@pytest.mark.parametrize(("p", "launches", "calls"), [(0.9, 8, 40), (0.9, 20, 32), (0.99, 8, 200), (0.99, 20, 100)])
@pytest.mark.parametrize("between", [0.0, 0.03])
def test_a_percentile_over_launches_seldom_misses(p: float, launches: int, calls: int, between: float) -> None:
    rng = np.random.default_rng(launches)
    truth = scipy_stats.norm.ppf(p) * np.hypot(0.05, between)
    repetitions, missed = 400, 0
    for _ in range(repetitions):
        samples = rng.normal(0, between, (launches, 1)) + rng.normal(0, 0.05, (launches, calls))
        found = clustered_percentile(list(samples), p)
        assert found is not None
        missed += found.interval is not None and not found.interval.low <= truth <= found.interval.high
    assert missed / repetitions <= 0.05 + 4 * (0.05 * 0.95 / repetitions) ** 0.5


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.9, 0.95]))
def test_clopper_pearson_equals_scipy(case: tuple[int, int], confidence: float) -> None:
    found = clopper_pearson(*case, confidence)
    expected = scipy_stats.binomtest(*case).proportion_ci(confidence, method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_proportion_must_be_one() -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        clopper_pearson(3, 2)
