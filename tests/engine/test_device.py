"""The device's own clock: calls apart, a metric apart, or a reason; and which flush belongs to which device."""

import os
import time
from pathlib import Path

import pytest

from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.energy import EnergySettings
from steelyard.core.errors import Unsupported
from steelyard.core.runner import Binding
from steelyard.engine.device import LEAST, MOST, device_time, flush_of
from steelyard.engine.launch import run_launch
from steelyard.engine.plan import DEFAULT_TIMEOUTS
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from tests.fakes import clocked, cuda, numpy_work, nvml

ROOT = Path(__file__).parents[2]


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


@pytest.fixture
def on_a_gpu(tmp_path, monkeypatch):
    """A launch on `cuda:0` by the stand-ins of NVML and of CUDA's driver."""
    monkeypatch.chdir(ROOT)  # the worker finds tests.fakes through its working directory
    pytest.importorskip("pynvml")
    cuda.build(tmp_path / "lib")
    for name, value in nvml.environment(nvml.build(tmp_path / "lib"), "watts=100;slowed=0.5;processes=0").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STEELYARD_STUB_L2", str(50 << 20))

    def launch(backend, l2):
        request = LaunchRequest(
            launch=f"run-{os.getpid()}/0001",
            arm=backend,
            round=1,
            position=0,
            backend=parse_backend(backend),
            device=device("cuda"),
            budget=Budget(threads=1, cpus=(min(os.sched_getaffinity(0)),), l2=l2),
            compile_cache=str(tmp_path / "cache"),
            scratch=str(tmp_path / "scratch"),
            seed=3,
            steady=True,
            cases=(
                CaseRequest(
                    case_id="case",
                    lowered=numpy_work.lowered_point(tmp_path / "p", name="affine", seed=0),
                    pace=Pace(seconds=0.05, minimum=10, maximum=500, cap_s=1.0),
                ),
            ),
            energy=EnergySettings(enabled=False),
        )
        return run_launch(request, origin_s=time.monotonic(), timeouts=DEFAULT_TIMEOUTS).results[0]

    return launch


def test_a_launch_on_a_gpu_stores_both_clocks_apart_and_what_slowed_it(on_a_gpu):
    result = on_a_gpu(clocked.PATH, "cold")
    assert (result.status, result.reason) == ("ok", "")
    host, own = result.measurement("latency_s"), result.measurement("device_s")
    assert (host.layer, own.layer) == ("bound_wall", "device")
    assert set(own.samples) == {clocked.DEVICE_S}
    assert result.details.board.slowed_by == ("power cap",)
    assert result.details.board.slowed_s["power cap"] > 0
    assert result.details.board.foreign_processes == 0


def test_a_runtime_without_such_a_clock_says_so_in_its_row(on_a_gpu):
    result = on_a_gpu(numpy_work.PATH, "hot")
    assert result.status == "ok"
    assert result.measurement("device_s") is None
    assert result.details.device_time.reason == "the runtime gives no events on the clock of its device"
