"""Proportions over clusters: known tables, the plain case, and what clusters do to the interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.stats.clustered import clustered_proportion
from steelyard.stats.quantile import clopper_pearson

clusters = st.lists(
    st.integers(1, 30).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size))), min_size=1, max_size=30
)


@given(clusters)
def test_the_interval_holds_the_share_and_is_never_narrower_than_the_plain_one(pairs) -> None:
    events, sizes = zip(*pairs, strict=True)
    found = clustered_proportion(events, sizes)
    assert (found.count, found.of) == (sum(events), sum(sizes))
    plain = clopper_pearson(found.count, found.of)
    assert found.interval.low <= found.count / found.of <= found.interval.high
    assert found.interval.low <= plain.low + 1e-12
    assert found.interval.high >= plain.high - 1e-12
    assert found.effective <= found.of
    assert (found.design_effect is None) == bool(found.reason)


def test_the_design_effect_is_that_of_the_formula_worked_by_hand() -> None:
    # 4 clusters of 10 with 0, 0, 0 and 4 events: p = 0.1; sum of squares 3 * 1 + 9 = 12; 4/3 * 12 / 1600 = 0.01;
    # the binomial variance is 0.09 / 40 = 0.00225.
    found = clustered_proportion([0, 0, 0, 4], [10, 10, 10, 10])
    assert found.design_effect == pytest.approx(0.01 / 0.00225)
    assert found.effective == pytest.approx(9.0)
    assert (found.interval.low, found.interval.high) == (clopper_pearson(0, 9).low, clopper_pearson(1, 9).high)


def test_clusters_of_one_give_the_plain_interval() -> None:
    found = clustered_proportion([1, 0, 0, 0, 1, 0, 0, 0, 0, 0], [1] * 10)
    plain = clopper_pearson(2, 10)
    # k / (k - 1) makes the estimate 10/9 of the binomial variance: 9 trials, rounded outward.
    assert found.design_effect == pytest.approx(10 / 9)
    assert found.interval.low <= plain.low
    assert found.interval.high >= plain.high


@pytest.mark.parametrize(
    ("events", "sizes", "reason"),
    [([0, 0], [10, 10], "no events"), ([3, 3], [3, 3], "nothing but events"), ([2], [10], "one cluster")],
)
def test_where_clusters_cannot_be_seen_the_reason_says_so(events, sizes, reason) -> None:
    found = clustered_proportion(events, sizes)
    assert found.design_effect is None
    assert reason in found.reason
    assert found.interval == clopper_pearson(sum(events), sum(sizes))


def test_nothing_counted_has_no_interval() -> None:
    assert clustered_proportion([], []).interval is None
    with pytest.raises(ValueError, match="at most its size"):
        clustered_proportion([2], [1])


@pytest.mark.statistical
def test_the_interval_covers_the_truth_where_the_plain_one_does_not() -> None:
    """Beta-binomial clusters: 30 of 10, mean 0.2, intra-cluster correlation 1/3."""
    source = np.random.default_rng(5)
    truth, covered, plain = 0.2, 0, 0
    for _ in range(400):
        shares = source.beta(0.4, 1.6, 30)
        events = source.binomial(10, shares)
        found = clustered_proportion(events, [10] * 30)
        covered += found.interval.low <= truth <= found.interval.high
        naive = clopper_pearson(int(events.sum()), 300)
        plain += naive.low <= truth <= naive.high
    assert covered / 400 >= 0.90
    assert plain / 400 < 0.80
