"""Steady state: signals whose class is known, with autocorrelated noise."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.measure.steady import Judgement, aligned_cut, judge

Shape = Callable[[np.ndarray, int], np.ndarray]

SHAPES: dict[str, tuple[Shape, str]] = {
    "level": (lambda i, n: np.ones(n), "flat"),
    "step down early": (lambda i, n: np.where(i < n // 6, 1.3, 1.0), "warmed"),
    "decay": (lambda i, n: 1 + 0.5 * np.exp(-i / (n / 20)), "warmed"),
    "first call": (lambda i, n: np.where(i == 0, 1.5, 1.0), "warmed"),
    "step up early": (lambda i, n: np.where(i < n // 5, 1.0, 1.1), "slowed"),
    "step up late": (lambda i, n: np.where(i < 0.7 * n, 1.0, 1.1), "slowed"),
    "creeping up": (lambda i, n: 1 + 0.15 * i / n, "slowed"),
    "step down late": (lambda i, n: np.where(i < 0.7 * n, 1.1, 1.0), "none"),
    "slow cycle": (lambda i, n: 1 + 0.1 * (np.sin(2 * np.pi * i / (n / 4)) > 0), "cyclic"),
}


def noise(rng: np.random.Generator, n: int, rho: float = 0.4, sd: float = 0.02) -> np.ndarray:
    steps = rng.normal(0, sd * np.sqrt(1 - rho**2), n)
    values = np.empty(n)
    values[0] = rng.normal(0, sd)
    for index in range(1, n):
        values[index] = rho * values[index - 1] + steps[index]
    return np.exp(values)


def classes(shape: str, n: int, repetitions: int, **how: float) -> Counter[str]:
    rng = np.random.default_rng(n)
    signal = SHAPES[shape][0](np.arange(n), n)
    return Counter(judge(0.03 * signal * noise(rng, n, **how)).steady for _ in range(repetitions))


@pytest.mark.parametrize("n", [120, 1000])
@pytest.mark.parametrize("shape", SHAPES)
def test_each_class_is_found(shape: str, n: int) -> None:
    found = classes(shape, n, 40)
    assert found[SHAPES[shape][1]] >= 30, found


@pytest.mark.statistical
@pytest.mark.parametrize("n", [30, 60, 200, 1000])
@pytest.mark.parametrize(("rho", "sd"), [(0.0, 0.01), (0.4, 0.02), (0.6, 0.05)])
def test_noise_alone_is_seldom_called_unsteady(n: int, rho: float, sd: float) -> None:
    found = classes("level", n, 200, rho=rho, sd=sd)
    assert found["slowed"] + found["cyclic"] + found["none"] <= 18, found
    assert found["flat"] >= 170, found


def test_single_spikes_do_not_unsettle() -> None:
    rng = np.random.default_rng(8)
    found = Counter(judge(noise(rng, 300) * np.where(rng.random(300) < 0.03, 3.0, 1.0)).steady for _ in range(60))
    assert found["flat"] + found["warmed"] >= 57, found


@pytest.mark.parametrize(("length", "n"), [(3, 300), (40, 300), (100, 400)])
def test_the_cut_is_where_the_warm_up_ends(length: int, n: int) -> None:
    rng = np.random.default_rng(9)
    cuts = [judge(noise(rng, n) * np.where(np.arange(n) < length, 1.5, 1.0)) for _ in range(30)]
    assert all(steady == "warmed" for _, steady in cuts)
    assert np.median([abs(cut - length) for cut, _ in cuts]) <= max(1, n // 80)


def test_what_is_unsteady_is_kept_whole() -> None:
    rng = np.random.default_rng(10)
    for shape, (signal, steady) in SHAPES.items():
        judgement = judge(noise(rng, 500) * signal(np.arange(500), 500))
        if steady not in ("warmed",):
            assert judgement.cut == 0, shape


def test_fewer_than_thirty_are_not_judged() -> None:
    assert judge([1.0] * 29) == Judgement(0, "too_short")
    assert judge([1.0] * 30) == Judgement(0, "flat")
    assert judge([]) == Judgement(0, "too_short")


@pytest.mark.parametrize("bad", [[1.0, 0.0], [1.0, float("nan")], [-1.0]])
def test_impossible_samples_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="finite times above 0"):
        judge(bad * 20)


@given(st.integers(0, 10**6), st.integers(30, 400), st.integers(-20, 20), st.sampled_from(sorted(SHAPES)))
def test_the_unit_does_not_matter(seed: int, n: int, power: int, shape: str) -> None:
    samples = noise(np.random.default_rng(seed), n) * SHAPES[shape][0](np.arange(n), n)
    assert judge(samples * 2.0**power) == judge(samples)


@given(st.integers(0, 10**6), st.integers(30, 400), st.floats(0.0, 2.0))
def test_any_judgement_leaves_half_of_the_samples(seed: int, n: int, spread: float) -> None:
    cut, steady = judge(np.random.default_rng(seed).lognormal(0, spread, n))
    assert 0 <= cut <= n // 2
    assert (cut > 0) == (steady == "warmed")


def test_short_launches_are_cut_together() -> None:
    rng = np.random.default_rng(12)
    warm = np.where(np.arange(12) < 3, 1.2, 1.0)
    cuts = Counter(
        aligned_cut([scale * warm * noise(rng, 12) for scale in rng.lognormal(0, 0.2, 8)]) for _ in range(100)
    )
    assert cuts[3] >= 85, cuts
    level = Counter(aligned_cut([noise(rng, 12) for _ in range(8)]) for _ in range(100))
    assert level[0] >= 80, level


def test_aligned_cut_of_little() -> None:
    assert aligned_cut([]) == 0
    assert aligned_cut([[1.0]]) == 0
    assert aligned_cut([[9.0, 1.0], [8.0, 1.0, 1.0]]) == 1
    assert aligned_cut([[5.0, 5.0, 5.0, 1.0, 1.0, 1.0]]) == 3
