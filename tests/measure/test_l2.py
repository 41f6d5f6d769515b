"""Cold calls: what is written between samples, and that it is between them."""

import ctypes

import pytest

from steelyard.core.errors import SteelyardError, Unsupported
from steelyard.measure.l2 import CudaFlush, cold
from steelyard.measure.loop import CheckPoints, Limits, timed_window
from tests.fakes.cuda import build

MIB = 1 << 20


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """Loaded before the flush looks for it, which then finds it by its soname."""
    return ctypes.CDLL(str(build(tmp_path_factory.mktemp("cuda"))))


class Call:
    def __init__(self, log):
        self.log = log

    def run(self):
        self.log.append("run")

    def settle(self):
        self.log.append("settle")


def test_the_cache_is_flushed_before_every_call_and_never_inside_a_sample():
    log = []
    calls = cold([Call(log), Call(log)], lambda: log.append("flush"))
    limits = Limits(seconds=0.0, minimum=3, maximum=3, cap_s=1.0)
    window = timed_window(calls, limits, lambda index: log.append("look"), CheckPoints(seed=0, early=1))
    assert len(window.durations_ns) == 3
    assert [entry for entry in log if entry != "look"] == ["flush", *["run", "settle", "flush"] * 3]


def test_what_a_flush_lasts_is_in_no_sample():
    import time

    calls = cold([Call([])], lambda: time.sleep(0.02))
    limits = Limits(seconds=0.0, minimum=5, maximum=5, cap_s=1.0)
    window = timed_window(calls, limits, lambda index: None, CheckPoints(seed=0, early=1))
    assert sorted(window.durations_ns)[2] < 5_000_000
    assert window.elapsed_ns > 80_000_000


def test_twice_the_cache_is_written_and_waited_for_in_a_context_that_is_left_again(driver, monkeypatch):
    monkeypatch.setenv("STEELYARD_STUB_L2", str(50 * MIB))
    flush = CudaFlush(0)
    assert flush.size_bytes == 100 * MIB
    before = driver.stub_writes(), driver.stub_waits()
    for _ in range(3):
        flush()
    driver.stub_bytes.restype = ctypes.c_long
    assert (driver.stub_writes() - before[0], driver.stub_waits() - before[1]) == (3, 3)
    assert driver.stub_bytes() == 100 * MIB
    assert driver.stub_depth() == 0


def test_a_driver_that_tells_no_size_or_refuses_is_an_error_and_no_hot_cache(driver, monkeypatch):
    monkeypatch.setenv("STEELYARD_STUB_L2", "0")
    with pytest.raises(Unsupported, match="tells no size of the L2"):
        CudaFlush(0)
    with pytest.raises(SteelyardError, match="answered 101 to cuDeviceGet"):
        CudaFlush(3)
