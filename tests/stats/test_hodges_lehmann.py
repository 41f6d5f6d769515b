"""Estimates and intervals: invariants, duality with the tests, coverage."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from steelyard.stats import signed_rank
from steelyard.stats.hodges_lehmann import intervals, one_sample, paired, unpaired

numbers = st.integers(-1000, 1000).map(lambda n: n / 8)
samples = st.lists(numbers, min_size=1, max_size=20)


def test_one_sample_by_hand() -> None:
    # Walsh averages of 0, 2, 6: 0 1 2 3 4 6
    assert one_sample([0.0, 2.0, 6.0]).value == 2.5
    found = one_sample([0.0, 2.0, 6.0], confidence=0.75)  # P(W <= 0) = 1/8
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (0.0, 6.0)


def test_interval_of_ten_values_uses_the_ninth_average_from_each_end() -> None:
    values = np.random.default_rng(3).normal(size=10)
    averages = sorted((values[i] + values[j]) / 2 for i in range(10) for j in range(i, 10))
    found = one_sample(values).interval
    assert found is not None
    assert (found.low, found.high) == (averages[8], averages[55 - 1 - 8])


@given(samples, numbers)
def test_location_moves_and_turns_with_the_values(values: list[float], shift: float) -> None:
    found, moved = one_sample(values), one_sample([value + shift for value in values])
    turned = one_sample([-value for value in values])
    assert moved.value == pytest.approx(found.value + shift)
    assert turned.value == pytest.approx(-found.value)
    if found.interval is None:
        assert len(values) < 6
        assert "6 would" in found.reason
    else:
        assert moved.interval is not None
        assert turned.interval is not None
        assert found.interval.low <= found.value <= found.interval.high
        assert moved.interval.low == pytest.approx(found.interval.low + shift)
        assert turned.interval.low == pytest.approx(-found.interval.high)


@given(samples, numbers, st.sampled_from([0.9, 0.95, 0.9875]))
def test_the_interval_excludes_a_bound_exactly_when_the_shifted_test_rejects(
    values: list[float], bound: float, confidence: float
) -> None:
    location = paired(values)
    interval = location.estimate(confidence).interval
    assume(interval is not None)
    tail = (1 - confidence) / 2 * (1 + 1e-9)
    assert (interval.low > bound) == (location.p_above(bound) <= tail)
    assert (interval.high < bound) == (location.p_below(bound) <= tail)


@given(samples, samples, numbers)
def test_the_same_holds_for_two_samples(candidate: list[float], baseline: list[float], bound: float) -> None:
    location = unpaired(candidate, baseline)
    interval = location.estimate(0.9).interval
    assume(interval is not None)
    assert (interval.low > bound) == (location.p_above(bound) <= 0.05 * (1 + 1e-9))
    assert (interval.high < bound) == (location.p_below(bound) <= 0.05 * (1 + 1e-9))
    back = unpaired(baseline, candidate).estimate(0.9)
    assert back.value == pytest.approx(-location.value)
    assert back.interval is not None
    assert back.interval.low == pytest.approx(-interval.high)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=20, unique=True))
def test_one_sided_tests_without_ties_are_the_signed_rank_test(magnitudes: list[int]) -> None:
    values = [value if index % 3 else -value for index, value in enumerate(magnitudes)]
    location = paired(values)
    two_sided = min(1.0, 2 * min(location.p_above(0.0), location.p_below(0.0)))
    averages = {a + b for a in values for b in values}
    assume(0 not in averages)
    assert two_sided == pytest.approx(signed_rank.p_value(values))


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [math.inf]])
def test_what_was_not_measured_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match=r"at least one value|finite"):
        one_sample(bad)


def test_many_at_once_are_the_same_as_one_by_one() -> None:
    data = np.random.default_rng(5).normal(size=(7, 9))
    values, lows, highs = intervals(data)
    for row, value, low, high in zip(data, values, lows, highs, strict=True):
        single = one_sample(row)
        assert single.interval is not None
        assert (single.value, single.interval.low, single.interval.high) == (value, low, high)
    with pytest.raises(ValueError, match="6 would"):
        intervals(data[:, :5])


NOISE = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "heavy tail": lambda rng, shape: rng.standard_t(2, size=shape),
    "bimodal": lambda rng, shape: rng.normal(size=shape) + rng.choice([-4.0, 4.0], size=shape),
    "spikes": lambda rng, shape: rng.normal(size=shape) * np.where(rng.random(shape) < 0.1, 8, 1),
}


@pytest.mark.statistical
@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("n", [6, 8, 12, 20])
def test_coverage_is_what_the_exact_distribution_says(noise: str, n: int) -> None:
    repetitions = 6000
    data = NOISE[noise](np.random.default_rng(n), (repetitions, n)) + 0.7
    _, low, high = intervals(data)
    k = signed_rank.critical(n, 0.95)
    assert k is not None
    expected = signed_rank.attained(n, k)
    assert abs(np.mean((low <= 0.7) & (high >= 0.7)) - expected) < 4 * math.sqrt(
        expected * (1 - expected) / repetitions
    )


@pytest.mark.statistical
def test_two_sample_coverage() -> None:
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(1500):
        found = unpaired(rng.gumbel(size=10) + 0.5, rng.gumbel(size=14)).estimate().interval
        assert found is not None
        hits += found.low <= 0.5 <= found.high
    assert 0.93 <= hits / 1500 <= 0.97
