"""What XLA is told of each platform and what its programs tell: no accelerator is needed."""

import types

import pytest

from steelyard import plugins
from steelyard.adapters import xla_device
from steelyard.core.backend import Budget, Device
from steelyard.core.errors import Unsupported
from tests.fakes import recorded
from tests.runners.toy_decoder import context

GIB = 1 << 30
CAP = Budget(threads=1, cpus=(), memory_cap_bytes=20 * GIB, memory_cap_by="runtime")
HLO = """%command_buffer (p: f32[8]) -> f32[8] {
  ROOT %f = f32[8]{0} fusion(%p), kind=kLoop
}
ENTRY %main {
  %call = f32[8]{0} call(%p), to_apply=%command_buffer
  ROOT %call.1 = f32[8]{0} call(%call), to_apply=%command_buffer.1
}"""


def device(kind, memory=80 * GIB):
    return Device(kind=kind, index=0, name="a device", memory_bytes=memory)


def test_a_cap_is_a_share_of_the_device_or_refused():
    share = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.250000"}
    assert xla_device.allocator(device("cuda"), CAP) == xla_device.allocator(device("rocm"), CAP) == share
    assert xla_device.allocator(device("cpu"), CAP) == xla_device.allocator(device("tpu"), CAP) == {}
    xla_device.check_cap(device("rocm"), CAP)
    with pytest.raises(Unsupported, match="caps no memory of a TPU"):
        xla_device.check_cap(device("tpu"), CAP)
    with pytest.raises(Unsupported, match="how much it has is not known"):
        xla_device.check_cap(device("cuda", None), CAP)


def test_memory_of_a_gpu_is_taken_as_it_is_needed_so_that_others_have_room_beside_it():
    free = Budget(threads=1, cpus=())
    assert xla_device.allocator(device("cuda"), free) == {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    assert xla_device.allocator(device("cpu"), free) == {}


def test_precision_is_told_by_the_exported_products():
    assert xla_device.tf32("cpu", 3) == "no such type on a CPU"
    assert [xla_device.tf32("rocm", loose) for loose in (0, 2)] == ["off", "allowed"]
    assert xla_device.tf32("tpu", 0) == "off"
    assert "bfloat16 passes" in xla_device.tf32("tpu", 1)


def test_command_buffers_stand_in_the_tuning_table_and_are_counted():
    assert xla_device.graphs("cpu", "") == xla_device.graphs("tpu", "") == {}
    assert xla_device.graphs("cuda", "")["graphs"] == "command buffers, XLA's default set"
    assert xla_device.graphs("cuda", "--xla_gpu_enable_command_buffer=")["graphs"] == "command buffers: none"
    flags = "--a=1 --xla_gpu_enable_command_buffer=FUSION,CUBLAS"
    assert xla_device.graphs("rocm", flags)["graphs"] == "command buffers: FUSION,CUBLAS"
    gpu = types.SimpleNamespace(client=types.SimpleNamespace(platform_version="PJRT C API\nrocm 70200"))
    assert xla_device.facts(gpu, "rocm", HLO) == {"platform_version": "PJRT C API\nrocm 70200", "command_buffers": 2}
    assert "command_buffers" not in xla_device.facts(gpu, "tpu", HLO)
    assert xla_device.facts(None, "cpu", HLO) == {}


def test_every_platform_has_its_options():
    assert set(xla_device.MAX) == set(xla_device.PLATFORMS)


def test_the_allocators_peak_is_that_of_a_phase_only_if_the_phase_raised_it(tmp_path):
    runner = plugins.runner("xla")(context("xla", tmp_path))
    held = {"peak_bytes_in_use": 500}
    runner.device = types.SimpleNamespace(platform="gpu", memory_stats=lambda: held)
    runner.reset_peaks()
    unraised = runner.peaks()["allocator_peak_bytes"]
    assert unraised.value is None
    assert "JAX cannot reset its peak" in unraised.reason
    held["peak_bytes_in_use"] = 900
    raised = runner.peaks()["allocator_peak_bytes"]
    assert (raised.value, raised.method) == (900, "memory_stats: peak_bytes_in_use, raised by this phase")
    runner.device = types.SimpleNamespace(platform="cpu", memory_stats=lambda: None)
    runner.reset_peaks()
    untold = runner.peaks()["allocator_peak_bytes"]
    assert (untold.value, untold.reason) == (None, "JAX keeps no allocator statistics on cpu")


def test_the_peak_of_a_recorded_tpu_is_read(tmp_path):
    runner = plugins.runner("xla")(context("xla", tmp_path))
    before, after = recorded.TPU_MEMORY
    told = iter([before, after])
    runner.device = types.SimpleNamespace(platform="tpu", memory_stats=lambda: next(told))
    runner.reset_peaks()
    assert runner.peaks()["allocator_peak_bytes"].value == 76800
