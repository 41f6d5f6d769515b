"""The geometric mean over a fixed set of cases."""

import math

import numpy as np
import pytest

from steelyard.core.errors import SteelyardError
from steelyard.stats.geometric_mean import geometric_mean


def test_each_case_counts_once() -> None:
    data = {"a": [math.log(2)] * 10, "b": [math.log(0.5)] * 2}
    assert geometric_mean(data, cases=["a", "b"]).value == pytest.approx(1.0)


def test_another_set_of_cases_is_refused() -> None:
    data = {"a": [0.1], "b": [0.2]}
    with pytest.raises(SteelyardError, match="without a ratio: c"):
        geometric_mean(data, cases=["a", "b", "c"])
    with pytest.raises(SteelyardError, match="not asked for: b"):
        geometric_mean(data, cases=["a"])
    with pytest.raises(SteelyardError, match="without a ratio: b"):
        geometric_mean({"a": [0.1], "b": []}, cases=["a", "b"])
    with pytest.raises(SteelyardError, match="no case"):
        geometric_mean({}, cases=[])


def test_few_cases_or_rounds_have_no_interval() -> None:
    assert geometric_mean({"a": [0.1] * 20}, cases=["a"]).interval is None
    found = geometric_mean({"a": [0.1] * 4, "b": [0.2] * 20}, cases=["a", "b"])
    assert found.interval is None
    assert "2 of 5" in found.reason


def test_the_interval_widens_with_both_kinds_of_spread_and_is_reproducible() -> None:
    rng = np.random.default_rng(0)

    def width(cases: float, rounds: float) -> float:
        names = [f"case {index}" for index in range(12)]
        data = {name: list(rng.normal(rng.normal(0, cases), rounds, 10)) for name in names}
        found = geometric_mean(data, cases=names)
        assert found == geometric_mean(data, cases=names)
        assert found.interval is not None
        assert found.interval.low <= found.value <= found.interval.high
        return found.interval.high - found.interval.low

    assert width(0.2, 0.01) > 5 * width(0.01, 0.01)
    assert width(0.001, 0.3) > 5 * width(0.001, 0.01)
