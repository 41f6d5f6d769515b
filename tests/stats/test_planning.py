"""Planning formulas against simulation and scipy."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from steelyard.stats import planning, signed_rank
from steelyard.stats.few import intervals, smallest_p


@pytest.mark.parametrize(("family", "rounds"), [(1, 4), (4, 4), (6, 4), (7, 9), (50, 11)])
def test_rounds_to_fire_is_the_first_from_which_on_a_family_can(family: int, rounds: int) -> None:
    assert planning.rounds_to_fire(family) == rounds
    assert all(smallest_p(n) * family <= 0.05 for n in range(rounds, 40))
    assert smallest_p(rounds - 1) * family > 0.05
    if rounds >= 8:
        assert smallest_p(rounds) == 2 * signed_rank.lower_tail(rounds, 0)


@pytest.mark.parametrize("pairs", [2, 3, 5, 10, 40])
def test_spread_upper_is_the_limit_of_a_normal_standard_deviation(pairs: int) -> None:
    expected = np.sqrt((pairs - 1) / scipy_stats.chi2.ppf(0.1, pairs - 1))
    assert planning.spread_upper(1.0, pairs) == pytest.approx(expected, rel=0.01)
    assert planning.spread_upper(1.0, 1) is None


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("rounds", "family"), [(4, 1), (4, 4), (6, 4), (8, 1), (8, 4), (10, 4), (12, 1), (20, 4), (40, 16)]
)
def test_half_width_and_detectable_effect_hold_in_simulation(rounds: int, family: int) -> None:
    spread, repetitions = 0.03, 4000
    data = np.random.default_rng(rounds).normal(0, spread, (repetitions, rounds))
    _, low, high = intervals(data, 1 - 0.05 / family)
    width = planning.half_width(spread, rounds, 1 - 0.05 / family)
    assert width == pytest.approx(np.mean(high - low) / 2, rel=0.06)
    effect = planning.minimum_detectable_effect(spread, rounds, family=family)
    assert effect is not None
    found = np.mean(low + np.log1p(effect) > np.log1p(0.02))
    assert 0.82 <= found <= 0.93
    a_third = np.mean(low + np.log1p(effect / 3) > np.log1p(0.02))
    assert a_third < 0.25


@pytest.mark.statistical
@pytest.mark.parametrize(("rounds", "family"), [(4, 4), (8, 1), (8, 4), (20, 4)])
@pytest.mark.parametrize("spread", [0.01, 0.05, 0.3])
def test_what_a_pilot_of_three_rounds_promises_is_found_in_nine_of_ten_runs(rounds, family, spread) -> None:
    """The noise floor is that of the run's own control arm, which shares the baseline with the candidate."""
    repetitions = 1000
    rng = np.random.default_rng(rounds)

    def log_ratios(count: int) -> tuple[np.ndarray, np.ndarray]:
        base, control, candidate = rng.normal(0, spread / 2**0.5, (3, repetitions, count))
        return control - base, candidate - base

    promised = [
        planning.promised_effect(
            seen.std(ddof=1), shared.std(ddof=1), pairs=3, control_pairs=3, rounds=rounds, family=family
        )
        for shared, seen in zip(*log_ratios(3), strict=True)
    ]
    control, candidate = log_ratios(rounds)
    floor = np.abs(np.stack(intervals(control)[1:])).max(axis=0)
    _, low, _ = intervals(candidate, 1 - 0.05 / family)
    found = np.mean(low + np.log1p(np.array(promised, float)) > np.maximum(floor, np.log1p(0.02)))
    assert 0.93 <= found <= 0.995


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("noise", "least"), [("normal", 0.94), ("unlike arms", 0.94), ("heavy tails", 0.9), ("bursts", 0.88)]
)
def test_what_all_arms_saw_together_promises_less_and_keeps_it(noise, least) -> None:
    repetitions, arms, rounds, family = 800, 6, 8, 5
    rng = np.random.default_rng(7)
    unlike = np.exp(rng.normal(0, 0.35, (arms + 1, repetitions, 1))) if noise == "unlike arms" else 1.0

    def log_ratios(count: int) -> np.ndarray:
        """By arm: the control first, then the candidate."""
        size = (arms + 1, repetitions, count)
        errors = rng.standard_t(3, size) / 3**0.5 if noise == "heavy tails" else rng.normal(0, 1, size)
        if noise == "bursts":
            errors *= np.where(rng.random(size) < 0.1, 4, 1)
        errors *= 0.014 * unlike
        return errors[1:] - errors[0]

    spreads = log_ratios(3).std(axis=2, ddof=1)
    together = [
        planning.Pooled(spread=float(each), arms=arms - 1) for each in np.sqrt(np.square(spreads[1:]).mean(axis=0))
    ]

    def promised(pooled: Sequence[planning.Pooled | None]) -> np.ndarray:
        known = {"pairs": 3, "control_pairs": 3, "rounds": rounds, "family": family}
        pilots = zip(spreads[1], spreads[0], pooled, strict=True)
        return np.array(
            [planning.promised_effect(own, control, pooled=each, **known) for own, control, each in pilots], float
        )

    control, candidate, *_ = log_ratios(rounds)
    floor = np.abs(np.stack(intervals(control)[1:])).max(axis=0)
    _, low, _ = intervals(candidate, 1 - 0.05 / family)
    effects = promised(together)
    assert np.mean(low + np.log1p(effects) > np.maximum(floor, np.log1p(0.02))) >= least
    assert np.median(effects) < 0.85 * np.median(promised([None] * repetitions))


@pytest.mark.statistical
@pytest.mark.parametrize("rounds", [8, 12])
def test_where_noise_comes_and_goes_earlier_runs_keep_the_promise(rounds) -> None:
    """One run in four is on a machine ten times as noisy, whatever its pilot saw; ten earlier runs went before it."""
    repetitions = 1500
    rng = np.random.default_rng(rounds)

    def log_ratios(count: int) -> tuple[np.ndarray, np.ndarray]:
        spread = np.where(rng.random((repetitions, 1)) < 0.25, 0.2, 0.02)
        base, control, candidate = rng.normal(0, spread / 2**0.5, (3, repetitions, count))
        return control - base, candidate - base

    pilots = list(zip(*log_ratios(3), strict=True))
    earlier = np.array([log_ratios(rounds)[0].std(axis=1, ddof=1) for _ in range(10)])
    control, candidate = log_ratios(rounds)
    floor = np.maximum(np.abs(np.stack(intervals(control)[1:])).max(axis=0), np.log1p(0.02))
    _, low, _ = intervals(candidate)

    def found(runs: int) -> tuple[float, float]:
        promised = [
            planning.promised_effect(
                other.std(ddof=1),
                shared.std(ddof=1),
                pairs=3,
                control_pairs=3,
                rounds=rounds,
                seen=planning.EarlierNoise(spread=float(earlier[:runs, n].max()), runs=runs) if runs else None,
            )
            for n, (shared, other) in enumerate(pilots)
        ]
        effects = np.array(promised, float)
        return float(np.mean(low + np.log1p(effects) > floor)), float(np.median(effects))

    alone, _ = found(0)
    assert alone < 0.87
    few, larger = found(5)
    ten, smaller = found(10)
    assert few >= 0.88
    assert ten >= 0.9
    assert smaller < 1.2 * larger, "ten earlier runs make the limit from three rounds needless"


@given(st.floats(0.001, 0.3), st.floats(0.001, 0.3), st.floats(0, 1), st.integers(8, 40))
def test_few_earlier_runs_make_no_promise_smaller_and_ten_replace_the_limit(spread, control, seen, rounds) -> None:
    def promised(runs: int) -> float:
        earlier = planning.EarlierNoise(spread=seen, runs=runs) if runs else None
        effect = planning.promised_effect(spread, control, pairs=3, control_pairs=3, rounds=rounds, seen=earlier)
        assert effect is not None
        return effect

    assert promised(9) >= promised(0)
    assert promised(9) >= promised(10)
    if seen <= min(spread, control):
        assert promised(9) == promised(0)


def test_nothing_is_promised_where_the_noise_floor_is_unknown() -> None:
    assert planning.promised_effect(0.02, None, pairs=3, control_pairs=0, rounds=8) is None
    assert planning.promised_effect(0.02, 0.02, pairs=3, control_pairs=1, rounds=8) is None
    few = planning.promised_effect(0.02, 0.02, pairs=3, control_pairs=2, rounds=8)
    assert few is not None
    assert few > planning.promised_effect(0.02, 0.02, pairs=3, control_pairs=3, rounds=8)  # type: ignore[operator]


def test_no_effect_can_be_promised_where_no_verdict_can_be_given() -> None:
    assert planning.minimum_detectable_effect(0.02, 3) is None
    assert planning.minimum_detectable_effect(0.02, 8, family=10) is None
    assert planning.half_width(0.02, 3) is None


def test_a_noise_floor_raises_the_detectable_effect() -> None:
    low = planning.minimum_detectable_effect(0.02, 12)
    high = planning.minimum_detectable_effect(0.02, 12, threshold=0.05)
    assert low is not None
    assert high is not None
    assert high - low == pytest.approx(0.03, abs=0.002)


@given(st.floats(0.001, 0.2), st.sampled_from([0.005, 0.01, 0.02, 0.05]))
def test_rounds_needed_reach_the_target_and_no_fewer_do(spread: float, target: float) -> None:
    rounds = planning.rounds_needed(spread, target)
    if rounds is None:
        assert 1.96**2 * (spread / target) ** 2 > 9000
        return
    width = planning.half_width(spread, rounds)
    assert width is not None
    assert width <= target * 1.02
    if rounds > 4 and rounds != 8:  # the ranks of 8 give a wider interval than Student's of 7
        fewer = planning.half_width(spread, rounds - 1)
        assert fewer is not None
        assert fewer > target * 0.98


@given(st.floats(1e-6, 1), st.floats(0, 1), st.floats(0, 100), st.floats(1e-4, 10))
def test_the_shared_time_is_the_best(between: float, within: float, launch_s: float, call_s: float) -> None:
    best = planning.share_time(between=between, within=within, launch_s=launch_s, call_s=call_s)

    def cost(calls: int) -> float:
        """The variance of the mean for one second of machine time."""
        return (between + within / calls) * (launch_s + calls * call_s)

    for calls in {max(1, best // 2), best * 2}:
        assert cost(best) <= cost(calls) * 1.13  # rounding to whole calls costs most between 1 and 2


def test_variance_components_of_nested_samples() -> None:
    rng = np.random.default_rng(4)
    launches = rng.normal(0, 0.05, (4000, 1)) + rng.normal(0, 0.2, (4000, 25))
    within = float(launches.var(axis=1, ddof=1).mean())
    between = planning.variance_between(float(launches.mean(axis=1).var(ddof=1)), within, 25)
    assert between == pytest.approx(0.05**2, rel=0.1)
    assert planning.variance_between(0.001, 1.0, 10) == 0.0
    with pytest.raises(ValueError, match="above 0"):
        planning.share_time(between=0.0, within=1.0, launch_s=1.0, call_s=1.0)
