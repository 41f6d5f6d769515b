"""Events cut to the calls that were marked."""

import pytest

from steelyard.adapters.recorded import Events, check_calls, recording
from steelyard.core.errors import SteelyardError
from steelyard.core.trace import Kernel

KERNELS = tuple(Kernel(name=name, kind="op") for name in ("never", "first", "inner", "outside"))
CALLS = [(100.0, 200.0), (300.0, 400.0)]


def told(*rows):
    """A recording of (kernel, thread, start, duration)."""
    kernel, thread, start, duration = zip(*rows, strict=True)
    events = Events(kernel=kernel, thread=thread, start_ns=start, duration_ns=duration)
    return recording(events, KERNELS, CALLS, resolution_ns=1.0)


def rows(found):
    names = [found.kernels[place].name for place in found.kernel]
    return list(zip(names, found.thread, found.start_ns, found.duration_ns, strict=True))


def test_what_begins_outside_every_call_is_left_out_and_its_kernel_too():
    found = told((3, 7, 50.0, 400.0), (1, 7, 100.0, 10.0), (3, 7, 250.0, 10.0), (1, 7, 399.0, 5.0), (3, 7, 400.0, 1.0))
    assert rows(found) == [("first", 0, 100.0, 10.0), ("first", 0, 399.0, 5.0)]
    assert [kernel.name for kernel in found.kernels] == ["first"]
    assert found.calls == tuple(CALLS)


def test_events_are_in_the_order_in_which_they_begin_and_what_encloses_others_is_before_them():
    found = told((2, 9, 110.0, 5.0), (2, 9, 120.0, 5.0), (1, 9, 110.0, 50.0))
    assert [(name, start) for name, _, start, _ in rows(found)] == [
        ("first", 110.0),
        ("inner", 110.0),
        ("inner", 120.0),
    ]


def test_threads_are_numbered_from_zero():
    found = told((1, 140131, 110.0, 5.0), (1, 52, 111.0, 5.0), (1, 140131, 112.0, 5.0))
    assert list(found.thread) == [1, 0, 1]


def test_calls_that_the_profiler_did_not_see_are_an_error():
    check_calls(3, 3, "the profiler")
    with pytest.raises(SteelyardError, match="recorded 2 of 3 calls"):
        check_calls(2, 3, "the profiler")
    with pytest.raises(SteelyardError, match="no call"):
        check_calls(0, 0, "the profiler")
