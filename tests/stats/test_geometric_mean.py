"""The geometric mean over a fixed set of cases."""

import math

import numpy as np
import pytest

from steelyard.core.errors import SteelyardError
from steelyard.stats.geometric_mean import geometric_mean


def by_round(values) -> dict[int, float]:
    return {number: float(value) for number, value in enumerate(values, 1)}


def test_each_case_counts_once() -> None:
    data = {"a": by_round([math.log(2)] * 10), "b": by_round([math.log(0.5)] * 2)}
    assert geometric_mean(data, cases=["a", "b"]).value == pytest.approx(1.0)


def test_another_set_of_cases_is_refused() -> None:
    data = {"a": {1: 0.1}, "b": {1: 0.2}}
    with pytest.raises(SteelyardError, match="without a ratio: c"):
        geometric_mean(data, cases=["a", "b", "c"])
    with pytest.raises(SteelyardError, match="not asked for: b"):
        geometric_mean(data, cases=["a"])
    with pytest.raises(SteelyardError, match="without a ratio: b"):
        geometric_mean({"a": {1: 0.1}, "b": {}}, cases=["a", "b"])
    with pytest.raises(SteelyardError, match="no case"):
        geometric_mean({}, cases=[])


def test_few_cases_or_rounds_have_no_interval() -> None:
    assert geometric_mean({"a": by_round([0.1] * 20)}, cases=["a"]).interval is None
    data = {"a": by_round([0.1] * 4), "b": by_round([0.2] * 20), "c": by_round([0.2] * 20)}
    found = geometric_mean(data, cases=["a", "b", "c"])
    assert found.interval is None
    assert found.reason == "3 cases of at least 4 rounds support no interval of a mean over cases; 3 of 5 would"


def test_the_interval_widens_with_each_kind_of_spread_and_is_reproducible() -> None:
    def width(cases: float, rounds: float, shared: float) -> float:
        rng = np.random.default_rng(0)
        together = rng.normal(0, shared, 10)
        names = [f"case {index}" for index in range(12)]
        data = {name: by_round(rng.normal(rng.normal(0, cases), rounds, 10) + together) for name in names}
        found = geometric_mean(data, cases=names)
        assert found == geometric_mean(data, cases=names)
        assert found.n == 12
        assert found.interval is not None
        assert found.interval.low <= found.value <= found.interval.high
        return math.log(found.interval.high / found.interval.low)

    base = width(0.01, 0.01, 0.0)
    assert width(0.2, 0.01, 0.0) > 5 * base
    assert width(0.01, 0.3, 0.0) > 5 * base
    # what all cases of a round share does not average out over cases
    assert width(0.01, 0.01, 0.3) > 1.5 * width(0.01, 0.3, 0.0)


def test_missing_rounds_count_as_missing() -> None:
    rng = np.random.default_rng(3)
    data = {name: by_round(rng.normal(0.1, 0.02, 12)) for name in "abcd"}
    whole = geometric_mean(data, cases="abcd").interval
    del data["a"][3], data["a"][7], data["b"][1]
    holed = geometric_mean(data, cases="abcd").interval
    assert whole is not None
    assert holed is not None
    assert holed.high - holed.low == pytest.approx(whole.high - whole.low, rel=0.5)
    assert holed.low < math.exp(0.1) < holed.high


@pytest.mark.statistical
@pytest.mark.parametrize("count", [3, 5, 10, 20])
@pytest.mark.parametrize("spreads", [(0.2, 0.02, 0.0), (0.1, 0.1, 0.0), (0.05, 0.02, 0.05), (0.0, 0.01, 0.05)])
def test_the_interval_holds_the_truth_over_new_cases_and_rounds(count: int, spreads: tuple[float, ...]) -> None:
    rng = np.random.default_rng(count)
    cases, rounds, shared = spreads
    names = [str(index) for index in range(count)]
    hits = 0
    for _ in range(300):
        values = rng.normal(0, cases, (count, 1)) + rng.normal(0, rounds, (count, 10)) + rng.normal(0, shared, (1, 10))
        data = dict(zip(names, map(by_round, values), strict=True))
        interval = geometric_mean(data, cases=names, resamples=300).interval
        assert interval is not None
        hits += interval.low <= 1 <= interval.high
    # about 95 %; more where rounds say all, as resampled cases bring their noise along. 4 standard errors are 5 points.
    assert hits / 300 >= 0.90
    if cases >= 10 * rounds:
        assert hits / 300 <= 0.99
