"""The rule for few rounds: which interval when, that intervals and tests belong together, and that the level holds."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from steelyard.engine.rounds import balanced_orders
from steelyard.stats import few, hodges_lehmann
from steelyard.stats.few import Mean, all_paired, paired
from tests.calibration.noise import MODELS

RATIOS = st.lists(st.floats(-0.5, 0.5), min_size=4, max_size=7)


@pytest.mark.parametrize("n", [4, 7])
def test_below_eight_it_is_students_interval(n: int) -> None:
    values = np.random.default_rng(n).normal(0.1, 0.02, n)
    interval = paired(values).estimate(0.9).interval
    assert interval is not None
    expected = stats.t.interval(0.9, n - 1, values.mean(), values.std(ddof=1) / np.sqrt(n))
    assert (interval.low, interval.high) == pytest.approx(expected)
    assert paired(values).p_value == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_from_eight_on_it_is_the_ranks() -> None:
    values = np.random.default_rng(1).normal(0.1, 0.02, 8)
    assert paired(values).estimate() == hodges_lehmann.paired(values).estimate()


@pytest.mark.parametrize("n", [1, 3])
def test_fewer_than_four_give_no_interval_and_say_so(n: int) -> None:
    location = paired([0.1] * n)
    assert location.estimate().interval is None
    assert location.estimate().reason.endswith("no 95 % interval; 4 would")
    assert (location.p_above(0.0), location.p_below(0.2), location.p_value) == (1.0, 1.0, None)


@given(RATIOS, st.floats(-0.4, 0.4), st.sampled_from([0.9, 0.95, 0.9875]))
def test_an_interval_lies_beyond_a_bound_exactly_when_the_test_says_so(values, bound, confidence) -> None:
    location = paired(values)
    interval = location.estimate(confidence).interval
    assert interval is not None
    tail = (1 - confidence) / 2
    if abs(interval.low - bound) > 1e-9:
        assert (location.p_above(bound) <= tail) == (interval.low > bound)
    if abs(interval.high - bound) > 1e-9:
        assert (location.p_below(bound) <= tail) == (interval.high < bound)


@given(RATIOS)
def test_turned_round_it_is_turned_round(values) -> None:
    there, back = (paired(sign * np.array(values)).estimate().interval for sign in (1, -1))
    assert there is not None
    assert back is not None
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


@given(st.lists(st.lists(st.floats(-1, 1), min_size=1, max_size=12), max_size=6))
def test_many_at_once_are_each_by_itself(samples) -> None:
    for one, values in zip(all_paired(samples), samples, strict=True):
        alone = paired(values)
        assert isinstance(one, Mean) == (len(values) < 8)
        assert one.estimate() == alone.estimate()


def test_what_was_not_measured_is_refused() -> None:
    for bad in ([], [0.1, float("nan"), 0.2, 0.3]):
        with pytest.raises(ValueError, match="leave out what was not measured"):
            paired(bad)


@pytest.mark.statistical
@pytest.mark.parametrize("rounds", [4, 6])
@pytest.mark.parametrize("name", MODELS)
def test_the_level_holds_in_all_models_of_noise(name: str, rounds: int) -> None:
    """Medians of launches in the engine's order, a baseline, a candidate and the control arm; nothing differs."""
    repetitions, calls = 1500, 20
    noise = MODELS[name].draw(np.random.default_rng(rounds), repetitions, 3 * rounds, calls)
    medians = np.log(np.median(np.exp(noise), axis=2))
    ratios = np.empty((repetitions, rounds))
    for row in range(repetitions):
        for number, order in enumerate(islice(balanced_orders(range(3), row), rounds)):
            baseline, candidate = (medians[row, 3 * number + order.index(arm)] for arm in (0, 1))
            ratios[row, number] = candidate - baseline
    _, low, high = few.intervals(ratios)
    assert np.mean((low <= 0) & (high >= 0)) >= 0.935
