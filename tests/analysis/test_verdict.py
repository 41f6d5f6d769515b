"""The rule alone: families keep their level even where no margin protects them."""

from dataclasses import replace

import numpy as np
import pytest

from steelyard.analysis.verdict import ALPHA, Question, decide
from steelyard.stats.few import paired


def question(values: np.ndarray, *, floor: float | None = 0.0, margin: float = 0.02, bias: float = 0.0) -> Question:
    return Question(location=paired(values), floor=floor, p_value=0.5, margin=margin, bias=bias)


def around(centre: float, n: int = 12, spread: float = 0.001) -> np.ndarray:
    return centre + spread * np.linspace(-1, 1, n)


@pytest.mark.parametrize(
    ("centre", "floor", "verdict"),
    [
        (-0.5, 0.0, "faster"),
        (0.5, 0.0, "slower"),
        (0.0, 0.0, "equivalent"),
        (0.0, 0.019, "equivalent"),
        (0.0, 0.021, "inconclusive"),
        (0.0, None, "inconclusive"),
        (0.5, None, "inconclusive"),
        (0.0198, 0.0, "inconclusive"),
        (0.05, 0.04, "slower"),
        (0.05, 0.06, "inconclusive"),
        (-0.05, 0.06, "inconclusive"),
    ],
)
@pytest.mark.parametrize("family", ["primary", "exploratory"])
def test_the_rule_in_a_table(centre: float, floor: float | None, verdict: str, family: str) -> None:
    (answer,) = decide([question(around(centre), floor=floor)], family)
    assert answer.verdict == verdict
    assert answer.reason


def test_the_margin_is_symmetric_in_the_ratio() -> None:
    for sign in (1, -1):
        (answer,) = decide([question(sign * around(0.0185))], "primary")
        assert answer.verdict == "equivalent"
        (answer,) = decide([question(sign * around(0.0215))], "primary")
        assert answer.verdict == ("slower" if sign > 0 else "faster")


def test_a_bias_that_no_interval_shows_shrinks_the_room_for_equivalent() -> None:
    assert decide([question(around(0.015), bias=0.003)], "primary")[0].verdict == "equivalent"
    assert decide([question(around(0.015), bias=0.006)], "primary")[0].verdict == "inconclusive"
    assert decide([question(around(0.0), bias=0.02)], "primary")[0].verdict == "inconclusive"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.001, 0.001, "equivalent"),
        (-0.1, 0.1, "inconclusive"),
        (-0.1, 0.001, "inconclusive"),
        (-0.001, 0.1, "inconclusive"),
        (0.05, 0.5, "slower"),
        (-0.05, 0.5, "inconclusive"),
        (-0.5, -0.05, "faster"),
        (-0.5, 0.05, "inconclusive"),
    ],
)
def test_a_claim_needs_both_ends_of_what_unsteady_launches_range_over(low: float, high: float, verdict: str) -> None:
    asked = replace(question(around((low + high) / 2)), span=(paired(around(low)), paired(around(high))))
    assert decide([asked], "primary")[0].verdict == verdict
    assert (asked.claim_level <= ALPHA) == (verdict != "inconclusive")


def test_order_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    questions = [question(rng.normal(shift, 0.02, 12)) for shift in (0.0, 0.03, -0.05, 0.2, 0.04)]
    for family in ("primary", "exploratory"):
        there = decide(questions, family)
        back = decide(questions[::-1], family)
        assert there == back[::-1]
    assert decide([], "primary") == ()


@pytest.mark.statistical
@pytest.mark.parametrize("shifts", [(0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.4, -0.4)])
def test_a_primary_family_makes_a_false_claim_in_at_most_one_run_of_twenty(shifts: tuple[float, ...]) -> None:
    rng = np.random.default_rng(7)
    repetitions, false = 1200, 0
    for _ in range(repetitions):
        answers = decide([question(rng.normal(shift, 0.03, 12), margin=0.0) for shift in shifts], "primary")
        false += any(
            answer.verdict in ("faster", "slower") for answer, shift in zip(answers, shifts, strict=True) if shift == 0
        )
    assert false / repetitions <= ALPHA + 3 * (ALPHA * 0.95 / repetitions) ** 0.5


@pytest.mark.statistical
def test_claimed_intervals_of_an_exploratory_family_seldom_miss() -> None:
    rng = np.random.default_rng(8)
    shares = []
    for _ in range(300):
        shifts = rng.choice([0.0, 0.0, 0.05], 12)
        answers = decide([question(rng.normal(shift, 0.03, 14)) for shift in shifts], "exploratory")
        missed = claimed = 0
        for answer, shift in zip(answers, shifts, strict=True):
            if answer.verdict != "inconclusive":
                assert answer.ratio.interval is not None
                claimed += 1
                missed += not answer.ratio.interval.low <= np.exp(shift) <= answer.ratio.interval.high
        shares.append(missed / claimed if claimed else 0.0)
    assert np.mean(shares) <= 0.07
