"""What a person reads of a comparison: the speed-up at one level, and on which interval the verdict rests."""

from dataclasses import replace

import pytest

from steelyard.core.comparison import Comparison, Estimate, Interval

JUDGED = Interval(low=0.35, high=0.5, confidence=0.9875)
PLAIN = {"low_95": 0.37, "high_95": 0.44}
FASTER = Comparison(
    point="p", title="decode", workload="decode", metric="latency_s", factor="backend", baseline="eager",
    candidate="xla", scope="within run", ratio=Estimate(value=0.4, interval=JUDGED, n=8), verdict="faster",
    reason="the whole 98.75 % interval lies beyond 2 % (margin)", family="primary", evidence=PLAIN,
)  # fmt: skip


def test_a_speed_up_is_the_inverse_of_the_ratio_and_the_ends_of_its_plain_interval_change_places():
    found = FASTER.speedup
    assert found.value == 2.5
    assert (found.interval.low, found.interval.high) == (pytest.approx(1 / 0.44), pytest.approx(1 / 0.37))
    assert found.interval.confidence == 0.95
    assert FASTER.ratio.interval == JUDGED, "the interval of the verdict stays with the ratio"


def test_without_a_ratio_or_an_interval_there_is_none():
    assert replace(FASTER, ratio=None).speedup is None
    few = replace(FASTER, ratio=Estimate(value=0.4, interval=None, n=3, reason="3 of 8 rounds"), evidence={})
    assert few.speedup == Estimate(value=2.5, interval=None, n=3, reason="3 of 8 rounds")


def test_a_verdict_says_on_which_interval_it_rests_where_that_is_not_the_plain_one():
    assert FASTER.remark == "judged by the 98.75 % interval, adjusted for the family"
    alone = replace(FASTER, ratio=replace(FASTER.ratio, interval=replace(JUDGED, confidence=0.95)))
    assert alone.remark == ""
    unsteady = replace(FASTER, evidence={**PLAIN, "low_judged": 0.3, "high_judged": 0.6})
    assert unsteady.remark == FASTER.reason
    assert replace(FASTER, verdict="inconclusive").remark == FASTER.reason
