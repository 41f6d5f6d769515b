"""The exact distributions against enumeration and scipy."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from steelyard.stats import rank_sum, signed_rank


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_signed_rank_is_the_distribution_of_all_sign_patterns(n: int) -> None:
    sums = [sum(rank for rank, sign in enumerate(signs, 1) if sign) for signs in itertools.product((0, 1), repeat=n)]
    counts = np.bincount(sums, minlength=n * (n + 1) // 2 + 1)
    assert np.allclose(signed_rank.cumulative(n), np.cumsum(counts) / 2**n, rtol=0, atol=1e-15)


@pytest.mark.parametrize("n", [6, 8, 20, 50])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_critical_is_the_largest_index_within_the_tail(n: int, confidence: float) -> None:
    k = signed_rank.critical(n, confidence)
    tail = (1 - confidence) / 2
    if k is None:
        assert signed_rank.lower_tail(n, 0) > tail
        return
    assert signed_rank.lower_tail(n, k) <= tail < signed_rank.lower_tail(n, k + 1)
    assert signed_rank.attained(n, k) >= confidence


@pytest.mark.parametrize(("n", "k"), [(5, None), (6, 0), (7, 2), (8, 3), (10, 8), (12, 13), (20, 52), (25, 89)])
def test_critical_has_the_values_of_the_printed_tables(n: int, k: int | None) -> None:
    assert signed_rank.critical(n, 0.95) == k


def test_the_normal_approximation_takes_over_smoothly() -> None:
    n = signed_rank.EXACT_UP_TO
    mean, sd = n * (n + 1) / 4, (n * (n + 1) * (2 * n + 1) / 24) ** 0.5
    w = np.arange(n * (n + 1) // 2 + 1)
    assert np.abs(signed_rank.cumulative(n) - scipy_stats.norm.cdf((w + 0.5 - mean) / sd)).max() < 1e-3
    one_more = signed_rank.critical(n + 1, 0.95)
    assert one_more is not None
    exact = int(np.searchsorted(np.cumsum(signed_rank._mass(n + 1)), 0.025, side="right")) - 1
    assert abs(one_more - exact) <= 2


@given(st.lists(st.floats(-1e6, 1e6).filter(lambda x: abs(x) > 1e-6), min_size=1, max_size=25, unique_by=abs))
def test_p_value_equals_scipy_without_ties(values: list[float]) -> None:
    expected = scipy_stats.wilcoxon(values, method="exact").pvalue
    assert signed_rank.p_value(values) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_p_value_with_ties_and_zeros_is_the_exact_conditional_one(values: list[int]) -> None:
    kept = [value for value in values if value]
    if not kept:
        assert signed_rank.p_value(values) == 1.0
        return
    ranks = scipy_stats.rankdata(np.abs(kept))
    observed = ranks[np.array(kept) > 0].sum()
    sums = np.array([np.dot(ranks, signs) for signs in itertools.product((0, 1), repeat=len(kept))])
    low = min(observed, ranks.sum() - observed)
    assert signed_rank.p_value(values) == pytest.approx(min(1.0, 2 * np.mean(sums <= low + 1e-9)))


def test_p_value_of_many_values_uses_the_normal_approximation() -> None:
    values = np.random.default_rng(0).normal(0.1, 1, 300)
    expected = scipy_stats.wilcoxon(values, method="approx", correction=True).pvalue
    assert signed_rank.p_value(values) == pytest.approx(expected, rel=0.01)
    assert signed_rank.p_value([]) is None


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 5), (4, 4), (3, 7)])
def test_rank_sum_is_the_distribution_of_all_interleavings(m: int, n: int) -> None:
    found = []
    for places in itertools.combinations(range(m + n), m):
        others = [place for place in range(m + n) if place not in places]
        found.append(sum(mine > theirs for mine in places for theirs in others))
    counts = np.bincount(found, minlength=m * n + 1)
    assert np.allclose(rank_sum.cumulative(m, n), np.cumsum(counts) / len(found), rtol=0, atol=1e-15)


def test_rank_sum_tails_equal_scipy() -> None:
    rng = np.random.default_rng(1)
    for m, n in [(5, 9), (12, 12), (20, 30)]:
        x, y = rng.normal(0.4, 1, m), rng.normal(0, 1, n)
        expected = scipy_stats.mannwhitneyu(x, y, alternative="less", method="exact")
        assert rank_sum.lower_tail(m, n, int(expected.statistic)) == pytest.approx(expected.pvalue, rel=1e-9)


def test_rank_sum_normal_approximation_agrees_with_the_exact_index() -> None:
    m = rank_sum.EXACT_UP_TO
    exact = rank_sum.critical(m, m, 0.95)
    approximate = rank_sum.critical(m + 1, m, 0.95)
    true = int(np.searchsorted(rank_sum.cumulative(m, m + 1), 0.025, side="right")) - 1
    assert exact is not None
    assert approximate is not None
    assert abs(approximate - true) <= 2
    assert exact < approximate
    assert rank_sum.critical(3, 3, 0.95) is None
