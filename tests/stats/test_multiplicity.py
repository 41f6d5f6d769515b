"""Families: the adjusted values against scipy and against the procedures' own words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from steelyard.stats.multiplicity import benjamini_hochberg, false_coverage_confidence, holm, holm_confidences

families = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(families)
def test_holm_rejects_what_its_steps_reject(p_values: list[float]) -> None:
    order = np.argsort(p_values, kind="stable")
    rejected = np.zeros(len(p_values), dtype=bool)
    for rank, index in enumerate(order):
        if p_values[index] * (len(p_values) - rank) > 0.05:
            break
        rejected[index] = True
    assert ((holm(p_values) <= 0.05) == rejected).all()


@given(families)
def test_benjamini_hochberg_equals_scipy(p_values: list[float]) -> None:
    assert benjamini_hochberg(p_values) == pytest.approx(scipy_stats.false_discovery_control(p_values))


@given(families)
def test_adjusting_never_makes_a_claim_easier(p_values: list[float]) -> None:
    assert (holm(p_values) >= np.array(p_values)).all()
    assert (holm(p_values) >= benjamini_hochberg(p_values) - 1e-12).all()
    assert (holm_confidences(p_values) >= 0.95 - 1e-12).all()
    assert false_coverage_confidence(p_values) >= 0.95 - 1e-12


def test_confidences_by_hand() -> None:
    assert holm_confidences([0.04, 0.001, 0.2]) == pytest.approx([0.975, 1 - 0.05 / 3, 0.95])
    assert holm_confidences([0.01, 0.2, 0.01]) == pytest.approx([1 - 0.05 / 3, 0.95, 1 - 0.05 / 3])
    assert false_coverage_confidence([0.001, 0.01, 0.8, 0.9]) == pytest.approx(1 - 2 * 0.05 / 4)
    assert false_coverage_confidence([0.5] * 10) == pytest.approx(0.995)
    assert false_coverage_confidence([]) == 0.95
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, 1.5])
