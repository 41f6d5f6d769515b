"""The algebra of roofs: intervals that hold what they must, ridges, and which roof counts where."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.analysis.roofline import (
    attainable,
    bandwidths,
    beyond,
    exactly,
    jointly,
    peaks,
    product,
    quotient,
    rate,
    ridge,
)
from steelyard.core.comparison import Estimate, Interval
from steelyard.core.profile import ComputedPeak, Fact, HardwareProfile, SourceDocument
from tests.fakes.ceilings import BANDWIDTH, CAPACITY, PEAK, synthetic_ceilings

positive = st.floats(1e-9, 1e15)
wide = st.floats(0.0, 0.9)
levels = st.sampled_from([0.9, 0.95, 0.99, 1.0])


@st.composite
def estimates(draw):
    value, low, high = draw(positive), draw(wide), draw(wide)
    interval = Interval(low=value * (1 - low), high=value * (1 + high), confidence=draw(levels))
    return Estimate(value=value, interval=interval, n=draw(st.integers(1, 30)))


@given(estimates(), estimates())
def test_a_quotient_holds_every_quotient_of_what_its_parts_hold(above, below):
    found = quotient(above, below)
    assert found.interval.low <= found.value * (1 + 1e-12)
    assert found.value <= found.interval.high * (1 + 1e-12)
    for a in (above.interval.low, above.interval.high):
        for b in (below.interval.low, below.interval.high):
            assert found.interval.low * (1 - 1e-12) <= a / b <= found.interval.high * (1 + 1e-12)
    assert found.interval.confidence == pytest.approx(above.interval.confidence + below.interval.confidence - 1)
    assert found.n == min(above.n, below.n)


@given(st.lists(estimates(), min_size=1, max_size=4))
def test_a_product_is_the_product_and_its_level_what_all_hold_together(factors):
    found = product(factors)
    value = 1.0
    for factor in factors:
        value *= factor.value
    assert found.value == value
    assert found.interval.low <= value * (1 + 1e-12)
    assert found.interval.confidence == pytest.approx(jointly(*(factor.interval for factor in factors)))
    assert found.interval.confidence <= min(factor.interval.confidence for factor in factors) + 1e-12


def test_without_the_interval_of_a_part_there_is_none_and_the_reason_stays():
    known = Estimate(value=2.0, interval=exactly(2.0), n=9)
    unknown = Estimate(value=4.0, interval=None, n=2, reason="2 launches are too few")
    for found in (quotient(known, unknown), product([known, unknown])):
        assert found.interval is None
        assert found.reason == "2 launches are too few"
        assert found.n == 2


@given(positive, estimates())
def test_a_rate_turns_the_interval_of_the_time(work, seconds):
    found = rate(work, seconds)
    assert found.value == work / seconds.value
    assert found.interval.high == pytest.approx(work / seconds.interval.low)
    assert found.interval.confidence == pytest.approx(seconds.interval.confidence)


@given(positive, positive, positive)
def test_below_the_ridge_the_bandwidth_bounds_and_above_it_the_peak(intensity, peak, bandwidth):
    reached = attainable(intensity, peak, bandwidth)
    assert reached <= peak
    assert reached <= intensity * bandwidth
    if intensity < ridge(peak, bandwidth) * (1 - 1e-9):
        assert reached == intensity * bandwidth
    if intensity > ridge(peak, bandwidth) * (1 + 1e-9):
        assert reached == peak
    # The share of the attainable rate is the larger of the shares of the two roofs.
    achieved = reached / 3
    assert achieved / reached == pytest.approx(max(achieved / peak, achieved / intensity / bandwidth))


def test_beyond_needs_the_whole_interval():
    def share(value, low, high):
        return Estimate(value=value, interval=Interval(low=low, high=high, confidence=0.95), n=9)

    assert beyond(share(1.2, 1.01, 1.4))
    assert not beyond(share(1.2, 0.99, 1.4))
    assert beyond(Estimate(value=1.01, interval=None, n=2, reason="too few"))
    assert not beyond(Estimate(value=0.99, interval=None, n=2, reason="too few"))


def profile(**peak: float) -> HardwareProfile:
    source = SourceDocument(
        document="Data sheet", publisher="A vendor", standing="vendor", url="https://example.org", date="undated",
        read=datetime.date(2026, 1, 1),
    )  # fmt: skip

    def fact(value: float) -> Fact:
        return Fact(value=value, printed="1", place="table 1", source=source)

    return HardwareProfile(
        model="A Chip", kind="cpu", names=("*",), devices=None, note=None,
        peak_dense_per_s={dtype: fact(value) for dtype, value in peak.items()}, peak_sparse_per_s={},
        memory_bandwidth_bytes_per_s=fact(40e9),
    )  # fmt: skip


def test_measured_stands_before_declared_before_computed():
    computed = ComputedPeak(per_s=3e11, dtype="float32", assumptions="2 cores")
    found = peaks("float32", synthetic_ceilings(), profile(float32=2.5e11), (computed,))
    assert [(roof.origin, roof.per_s) for roof in found] == [
        ("measured", PEAK["float32"]),
        ("declared", 2.5e11),
        ("computed", 3e11),
    ]
    assert found[0].label == "gemm by torch, float32"
    assert found[0].estimate.interval.low < PEAK["float32"]
    assert found[1].estimate.interval == exactly(2.5e11)
    assert peaks("float16", synthetic_ceilings(), profile(float32=1e11), (computed,)) == ()


def test_ceilings_of_a_machine_that_was_too_noisy_are_no_roofs():
    noisy = synthetic_ceilings(grade="F")
    assert peaks("float32", noisy, None) == ()
    assert bandwidths("memory", noisy, None) == ()
    assert [roof.origin for roof in bandwidths("memory", noisy, profile())] == ["declared"]


def test_a_declared_bandwidth_is_that_of_memory_alone():
    assert [roof.per_s for roof in bandwidths("L2", synthetic_ceilings(), profile())] == [BANDWIDTH["L2"]]
    assert [roof.per_s for roof in bandwidths("memory", None, profile())] == [40e9]


def test_traffic_lies_in_the_first_level_that_may_hold_half_of_it():
    ceilings = synthetic_ceilings()
    assert ceilings.level(CAPACITY["L1"]) == "L1"
    assert ceilings.level(2 * CAPACITY["L1"]) == "L1"
    assert ceilings.level(2 * CAPACITY["L1"] + 1) == "L2"
    assert ceilings.level(2 * CAPACITY["L3"] + 1) == "memory"


def test_a_ceiling_needs_all_threads_and_a_value():
    ceilings = synthetic_ceilings(threads=4)
    assert ceilings.peak("bfloat16") is None  # refused by the runtime that was asked
    assert ceilings.peak("float32").by == "torch"
    assert ceilings.bandwidth("L1").what == "read"
    assert ceilings.bandwidth("L4") is None
