"""PyTorch's devices beyond the CPU, on stand-ins for torch's own names of them: no such hardware is needed."""

import types

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from steelyard.adapters import inductor
from steelyard.adapters.torch_binding import TorchBinding
from steelyard.adapters.torch_device import TorchDevice, device_class
from steelyard.adapters.torch_timer import EventTimer
from steelyard.core.backend import Budget, parse_backend
from steelyard.core.errors import Unsupported
from steelyard.core.workload import Program, TensorSpec, Weights
from steelyard.plugins import runner

pytestmark = pytest.mark.backends
GIB = 1 << 30


class Queue:
    """A device's queue: events take the number of calls that were put in before them, and a call lasts 2 ms."""

    def __init__(self):
        self.done, self.log = 0, []
        queue = self

        class Event:
            def __init__(self, enable_timing):
                assert enable_timing, "an event without timing tells no time"

            def record(self):
                self.at = queue.done
                queue.log.append("record")

            def synchronize(self):
                queue.log.append("wait")

            def elapsed_time(self, end):
                return 2.0 * (end.at - self.at)

        self.Event = Event

    def call(self, tensor):
        self.done += 1
        self.log.append("call")
        return (tensor * 2,)


class FakeApi(Queue):
    """What torch.cuda and torch.xpu have in common, of one device with 80 GiB."""

    def __init__(self):
        super().__init__()
        self.set = {}

    def is_available(self):
        return True

    def device_count(self):
        return 1

    def get_device_name(self, device):
        return "a GPU"

    def get_device_properties(self, device):
        return types.SimpleNamespace(total_memory=80 * GIB)

    def set_device(self, device):
        self.set["device"] = str(device)

    def set_per_process_memory_fraction(self, fraction, device):
        self.set["fraction"] = fraction

    def synchronize(self, device):
        self.log.append(f"synchronize {device}")

    def reset_peak_memory_stats(self, device):
        self.set["reset"] = str(device)

    def max_memory_allocated(self, device):
        return 3 * GIB

    def max_memory_reserved(self, device):
        return 4 * GIB


@pytest.fixture(params=["cuda", "rocm", "xpu"])
def kind(request, monkeypatch):
    """A kind of device of which torch has one, by stand-ins."""
    monkeypatch.setattr(torch.version, "cuda", "13.0" if request.param == "cuda" else None)
    monkeypatch.setattr(torch.version, "hip", "7.1" if request.param == "rocm" else None)
    monkeypatch.setattr(torch.version, "xpu", "20250301" if request.param == "xpu" else None)
    monkeypatch.setattr(torch, "xpu" if request.param == "xpu" else "cuda", FakeApi())
    if request.param == "xpu":  # a build without Intel GPUs warns of the real switch
        monkeypatch.setattr(torch.backends, "mkldnn", types.SimpleNamespace(allow_tf32=True))
    return request.param


def test_a_device_is_found_named_bound_and_waited_for(kind):
    found = runner("eager").availability(parse_backend("eager"), kind)
    assert (found.available, found.devices) == (True, ("a GPU",))
    device = device_class(kind)(0)
    api, word = device.api(), "xpu" if kind == "xpu" else "cuda"
    device.bind(Budget(threads=1, cpus=(), memory_cap_bytes=20 * GIB, memory_cap_by="runtime"))
    assert api.set == {"device": f"{word}:0", "fraction": 0.25}
    assert (str(device.device), device.platform) == (f"{word}:0", "a GPU")
    device.wait()()
    assert api.log == [f"synchronize {word}:0"]


def test_memory_is_that_of_the_caching_allocator(kind):
    device = device_class(kind)(0)
    device.reset_peaks()
    assert device.api().set["reset"] == str(device.device)
    found = device.peaks()
    assert {name: reading.value / GIB for name, reading in found.items()} == {
        "allocator_peak_bytes": 3,
        "allocator_reserved_bytes": 4,
    }
    assert found["allocator_peak_bytes"].method == f"torch.{device.type}.max_memory_allocated"


def test_a_switch_left_on_is_a_mismatch_under_strict_precision(kind, monkeypatch):
    device = device_class(kind)(0)
    switch = types.SimpleNamespace(allow_tf32=False)
    monkeypatch.setattr(torch.backends, "mkldnn" if kind == "xpu" else "cudnn", switch)
    assert (device.loose(), device.tf32("highest"), device.tf32("high")) == ((), "off", "allowed")
    switch.allow_tf32 = True
    (said,) = device.loose()
    assert "may use TF32" in said
    assert device.tf32("highest") == "allowed"


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("cuda", "built without CUDA: pip install 'steelyard[cuda]'"),
        ("rocm", "built without ROCm: install the build"),
        ("xpu", "built without Intel GPUs: install that build"),
        ("mps", "Metal"),
        ("tpu", "PyTorch runs on no tpu, only on cpu, cuda, rocm, xpu, mps"),
    ],
)
def test_a_device_that_torch_does_not_have_is_unavailable_and_says_what_to_do(kind, says, monkeypatch):
    for name in ("cuda", "hip", "xpu"):
        monkeypatch.setattr(torch.version, name, None)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: False)
    found = runner("eager").availability(parse_backend("eager"), kind)
    assert not found.available
    assert says in found.reason


def test_a_rocm_build_is_no_cuda(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", "7.1")
    monkeypatch.setattr(torch, "cuda", FakeApi())
    assert "built without CUDA" in device_class("cuda").missing()
    assert device_class("rocm").missing() == ""


def test_apple_waits_times_and_says_what_it_cannot(monkeypatch):
    queue = Queue()
    monkeypatch.setattr(
        torch, "mps", types.SimpleNamespace(event=queue, synchronize=lambda: queue.log.append("all"), device_count=int)
    )
    device = device_class("mps")(0)
    device.wait()()
    assert queue.log == ["all"]
    assert isinstance(device.timer(), EventTimer)
    assert device.peaks()["allocator_peak_bytes"].reason == "torch.mps keeps no peak"
    monkeypatch.delenv("PYTORCH_ENABLE_MPS_FALLBACK", raising=False)
    assert device.loose() == ()
    monkeypatch.setenv("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    assert device.loose() == ("PYTORCH_ENABLE_MPS_FALLBACK is set, which lets the CPU compute",)
    with pytest.raises(Unsupported, match="leave --memory-cap out"):
        device.bind(Budget(threads=1, cpus=(), memory_cap_bytes=GIB, memory_cap_by="runtime"))


class OnTheHost(TorchDevice):
    """Tensors on the host, and a queue that is waited for."""

    def __init__(self, queue):
        super().__init__(0)
        self.queue = queue

    def wait(self):
        return lambda: self.queue.log.append("wait for all")

    def timer(self):
        return EventTimer(self.queue)


def bound(device, call):
    spec = TensorSpec(name="x", shape=(3,), dtype="float32")
    weights = Weights(source="a:b", arguments={}, origin="seeded")
    program = Program(
        name="double", source="a:b", arguments={}, weights=weights, dtype="float32", inputs=(spec,), outputs=(spec,)
    )
    return TorchBinding(program, call, ("x",), [torch.ones(3)], False, device)


def test_a_run_ends_with_the_device_and_its_own_clock_stands_apart():
    queue = Queue()
    binding = bound(OnTheHost(queue), queue.call)
    binding.run()
    assert queue.log == ["call", "wait for all"]
    queue.log.clear()
    assert binding.device_seconds() == pytest.approx(2e-3)
    assert queue.log == ["record", "call", "record", "wait"], "the host is waited for after the second event only"
    assert np.array_equal(binding.read()["x"], [2, 2, 2])


def test_a_cpu_has_no_clock_of_its_own():
    with pytest.raises(Unsupported, match="a CPU's own time is the host's"):
        bound(TorchDevice(0), Queue().call).device_seconds()


def test_graphs_stand_in_the_tuning_table_where_there_are_any():
    assert inductor.graphs("cpu", {}) == inductor.graphs("xpu", inductor.MAX["xpu"]) == {}
    assert inductor.graphs("cuda", {})["graphs"] == "none (Inductor's default)"
    assert inductor.graphs("rocm", inductor.MAX["rocm"])["graphs"] == "CUDA graphs"


def test_inductor_names_the_triton_of_each_device(monkeypatch):
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: False)
    assert inductor.no_compiler("cuda").endswith("pip install triton")
    assert "comes with torch's build for rocm" in inductor.no_compiler("rocm")
    assert "comes with torch's build for xpu" in inductor.no_compiler("xpu")
    assert inductor.no_compiler("mps") == ""
