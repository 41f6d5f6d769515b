"""Numbers per call: known answers for nesting, gaps, overhead, several calls, and what lies outside of them."""

import pytest

from steelyard.core.trace import Kernel
from steelyard.measure.trace_summary import summarise
from steelyard.tracing.traced import by_class
from tests.tracing.recorded import recording

NS = 1e-9
RUN = Kernel(name="run", kind="model_run", wrapper=True)


def test_kernels_overhead_and_gap_are_the_call():
    events = [("run", 10, 90), ("MatMul", 20, 50), ("Add", 60, 70)]
    found = summarise(recording(events, calls=[(0, 100)], kernels=[RUN]))
    assert found.call_s == pytest.approx(100 * NS)
    assert by_class(found) == pytest.approx(
        {"matmul": 30 * NS, "elementwise": 10 * NS, "overhead": 40 * NS, "idle": 20 * NS}
    )
    assert sum(by_class(found).values()) == pytest.approx(found.call_s)


def test_numbers_are_means_over_calls():
    events = [("MatMul", 0, 40), ("MatMul", 50, 60), ("MatMul", 100, 140), ("MatMul", 150, 160)]
    found = summarise(recording(events, calls=[(0, 100), (100, 200)]))
    (kernel,) = found.kernels
    assert (kernel.times, found.calls) == (2, 2)
    assert kernel.seconds == pytest.approx(50 * NS)


def test_calls_that_took_unusually_long_are_left_out():
    usual = [(100 * n, 100 * n + 50) for n in range(8)]
    events = [("MatMul", begin, begin + 25) for begin, _ in usual] + [("MatMul", 1000, 1900)]
    found = summarise(recording(events, calls=[*usual, (1000, 2000)]))
    assert found.call_s == pytest.approx(50 * NS)
    assert by_class(found) == pytest.approx({"matmul": 25 * NS, "idle": 25 * NS})


def test_what_began_outside_of_calls_is_counted_and_not_summed():
    found = summarise(recording([("MatMul", 0, 40), ("Add", 150, 170)], calls=[(0, 100)]))
    assert found.outside == 1
    assert [each.kernel.name for each in found.kernels] == ["MatMul"]


def test_unknown_operators_are_a_class_of_their_own():
    found = summarise(recording([("Frobnicate", 0, 40), ("Twiddle", 40, 90)]))
    assert by_class(found)["unknown"] == pytest.approx(90 * NS)


def test_a_recording_without_calls_says_so():
    with pytest.raises(ValueError, match="without calls"):
        summarise(recording([("MatMul", 0, 1)], calls=[]))


def test_without_an_event_nothing_is_recorded_of_the_call():
    assert by_class(summarise(recording([]))) == pytest.approx({"idle": 100 * NS})


def test_of_two_unlike_calls_both_count():
    found = summarise(recording([("MatMul", 0, 40), ("MatMul", 200, 260)], calls=[(0, 100), (200, 400)]))
    assert (found.calls, found.call_s) == (2, pytest.approx(150 * NS))
