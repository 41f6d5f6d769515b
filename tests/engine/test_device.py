"""The device's own clock: calls apart, a metric apart, or a reason; and which flush belongs to which device."""

import pytest

from steelyard.core.backend import Device
from steelyard.core.errors import Unsupported
from steelyard.core.runner import Binding
from steelyard.engine.device import LEAST, MOST, device_time, flush_of


class Clocked(Binding):
    def __init__(self, seconds):
        self.seconds, self.log = seconds, []

    def run(self):
        raise AssertionError("these calls are no samples of the host's clock")

    def read(self, names=None):
        return {}

    def settle(self):
        self.log.append("settle")

    def update(self, inputs):
        raise NotImplementedError

    def adopt(self, source):
        raise NotImplementedError

    def device_seconds(self):
        self.log.append("call")
        return self.seconds


class Silent(Clocked):
    def device_seconds(self):
        return Binding.device_seconds(self)


def test_the_devices_time_is_a_metric_of_a_layer_of_its_own():
    calls = [Clocked(1e-3), Clocked(2e-3)]
    found, reason = device_time(calls, seconds=0.0)
    assert reason == ""
    assert (found.metric, found.layer, len(found.samples)) == ("device_s", "device", LEAST)
    assert list(found.samples[:4]) == [1e-3, 2e-3, 1e-3, 2e-3]
    assert list(found.starts_s) == sorted(found.starts_s)
    assert found.digest
    assert calls[0].log[:4] == ["call", "settle", "call", "settle"]


def test_it_ends_by_itself():
    found, _ = device_time([Clocked(1e-6)], seconds=60.0)
    assert (len(found.samples), found.stop) == (MOST, "calls")


def test_cold_calls_are_cold_here_too():
    binding = Clocked(1e-3)
    device_time([binding], lambda: binding.log.append("flush"), seconds=0.0)
    assert binding.log[:6] == ["call", "settle", "flush", "call", "settle", "flush"]


def test_no_clock_is_a_reason_and_no_number():
    assert device_time([Silent(0)]) == (None, "the runtime gives no events on the clock of its device")
    answers = [object()]
    found, reason = device_time(answers)
    assert found is None
    assert "the host chooses each token" in reason


def device(kind):
    return Device(kind=kind, index=0, name="a device", memory_bytes=None)


def test_a_cpu_is_not_flushed_and_other_devices_are_by_their_runtime():
    class Runner:
        def flush(self):
            return "the runtime's"

    with pytest.raises(Unsupported, match="a CPU's caches are not flushed"):
        flush_of(Runner(), device("cpu"))
    assert flush_of(Runner(), device("xpu")) == "the runtime's"
