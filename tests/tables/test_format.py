"""Numbers as print: scaling, digits, words."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.comparison import Interval
from steelyard.tables import format as fmt
from steelyard.tables.table import Cell, Column

MS = Column(key="latency_s", title="Latency", kind="number", unit="s", shown="ms")


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.0253, 0.0251, 0.0255, "25.3 [25.1, 25.5]"),
        (0.0253, 0.025299, 0.025301, "25.300 [25.299, 25.301]"),
        (2.0884, 2.07, 2.1, "2088 [2070, 2100]"),
        (0.000606, 0.0006, 0.00061, "0.606 [0.600, 0.610]"),
    ],
)
def test_an_interval_keeps_the_digits_that_it_supports(value, low, high, text):
    cell = Cell(value=value, interval=Interval(low=low, high=high, confidence=0.95))
    assert fmt.shown(cell, MS).text == text


def test_an_absent_number_is_a_dash_and_never_a_zero():
    assert fmt.shown(Cell(text="", notes=("a",)), MS).text == "–"
    assert fmt.shown(Cell(value=0.0), MS).text == "0"


def test_an_unknown_scale_is_refused():
    with pytest.raises(ValueError, match="no scale from 's' to 'MiB'"):
        fmt.factor("s", "MiB")


@given(st.floats(1e-9, 1e9))
def test_three_significant_digits_survive(value):
    assert math.isclose(float(fmt.fixed(value, fmt.decimals(value))), value, rel_tol=5e-3)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 0.5))
def test_an_interval_is_told_from_its_value(value, half):
    low, high = value * (1 - half), value * (1 + half)
    places = fmt.decimals(value, (low, high))
    assert float(fmt.fixed(low, places)) <= float(fmt.fixed(value, places)) <= float(fmt.fixed(high, places))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (2.1e-6, "2.1e-6"), (0.3, "3.0e-1"), (1.5e12, "1.5e12")],
)
def test_scientific(value, text):
    assert fmt.scientific(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.0884, "2.09 s"), (0.0253, "25.3 ms"), (3e-6, "3.00 µs"), (600, "10.0 min"), (0, "0 µs")]
)
def test_duration(seconds, text):
    assert fmt.duration(seconds) == text


def test_plain_values_say_why_they_are_not_known():
    assert fmt.plain({"value": None, "reason": "no cpufreq"}) == "not known: no cpufreq"
    assert fmt.plain({"b": 1, "a": [True, None]}) == "a=yes, not known, b=1"
    assert fmt.plain({}) == "none"
