"""OpenVINO's plugins for GPU and NPU, on stand-ins; the path of device memory runs on the CPU's plugin."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest

pytest.importorskip("openvino")
pytest.importorskip("torch")

from steelyard.adapters.openvino_binding import tensor_on
from steelyard.adapters.openvino_plugin import Gpu, Npu, Plugin, RemotePlace, plugin_of
from steelyard.core.backend import Device, parse_backend
from steelyard.core.errors import Unsupported, UsageError
from steelyard.plugins import runner
from tests.runners import toy_decoder as toy

pytestmark = pytest.mark.backends
OpenVino = runner("openvino")


class Context:
    """Stands for the context of a GPU: tensors that only copies reach."""

    made = 0

    def create_tensor(self, element_type, shape, properties):
        import openvino

        assert properties == {}
        Context.made += 1
        return openvino.Tensor(element_type, shape)


class Memory(Plugin):
    """The CPU's plugin, on tensors of device memory."""

    inputs = Gpu.inputs

    def places(self, core, value_on):
        return lambda spec: RemotePlace(spec, Context(), value_on)


@pytest.fixture(scope="module")
def decode(tmp_path_factory):
    import openvino
    import torch

    directory = tmp_path_factory.mktemp("openvino")
    module = toy.modules()["decode"]
    exported = torch.export.export(module, toy.example("decode"))
    openvino.save_model(openvino.convert_model(exported), directory / "decode.xml", compress_to_fp16=False)
    return toy.lowered("decode", "openvino", directory, "decode.xml")


def test_tensors_of_a_device_are_filled_and_read_through_copies(decode, tmp_path):
    chosen = OpenVino(toy.context("openvino", tmp_path, threads=1, cpus=(0,)))
    chosen.plugin = Memory(0)
    chosen.start()
    executable = chosen.load(decode)
    executable.compile()
    before = Context.made
    arrays = toy.inputs("decode")
    binding = executable.bind(arrays)
    assert Context.made > before
    for _ in range(2):
        binding.run()
        toy.agree(binding.read(), toy.reference("decode", arrays))
        arrays = {**arrays, **{name: binding.read()[name] for name in ("k", "v")}}
        binding.settle()
    assert executable.proof().mismatches == ()
    assert executable.execution_mode["inputs"] == "bound in device memory"


def on(kind, tmp_path, backend="openvino", **budget):
    context = dataclasses.replace(
        toy.context(backend, tmp_path, **budget), device=Device(kind=kind, index=0, name="a device", memory_bytes=None)
    )
    return OpenVino(context)


def test_only_properties_that_a_plugin_has_are_given(tmp_path):
    cpu, gpu, npu = (on(kind, tmp_path, tuning="max") for kind in ("cpu", "xpu", "npu"))
    assert cpu.config("float32")["INFERENCE_NUM_THREADS"] == 2
    assert set(cpu.config("float32")) - set(gpu.config("float32")) == set(Gpu.foreign)
    assert set(npu.config("float16")) == {"PERFORMANCE_HINT", "INFERENCE_PRECISION_HINT"}
    assert gpu.config("float32")["INFERENCE_PRECISION_HINT"] == "f32"


def test_an_npu_refuses_what_it_would_narrow(decode, tmp_path):
    chosen = on("npu", tmp_path)
    chosen.core = object()
    with pytest.raises(Unsupported, match="NPU plugin does not compute in float32"):
        chosen.load(decode)


class Answers:
    """A compiled model of another plugin, by its recorded answers."""

    def __init__(self, device, properties):
        self.device, self.properties = device, properties

    def get_property(self, name):
        if name == "SUPPORTED_PROPERTIES":
            return list(self.properties)
        return {"EXECUTION_DEVICES": [self.device], "LOADED_FROM_CACHE": False, **self.properties}[name]

    def get_runtime_model(self):
        raise RuntimeError("Exception from somewhere:\nNot implemented")


class Core:
    """OpenVINO's core with an accelerator's recorded answers."""

    properties: ClassVar = {"FULL_DEVICE_NAME": "a device (discrete)", "GPU_MEMORY_STATISTICS": {"usm_device": 1 << 20}}

    def get_property(self, device, name):
        return list(self.properties) if name == "SUPPORTED_PROPERTIES" else self.properties[name]

    def get_default_context(self, device):
        assert device == "GPU.0"
        return Context()

    def read_model(self, path):
        return object()


def proved(decode, tmp_path, monkeypatch, device="GPU.0", **properties):
    chosen = on("xpu", tmp_path, "openvino[kv_cache=ping_pong]")
    chosen.core = Core()
    monkeypatch.setattr(chosen, "denormals", lambda optimised: "kept")
    executable = chosen.load(decode)
    executable.compiled = Answers(device, {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, **properties})
    return executable.proof()


def test_the_proof_of_an_accelerator_claims_no_threads_and_no_nodes(decode, tmp_path, monkeypatch):
    proof = proved(decode, tmp_path, monkeypatch)
    assert (proof.threads, proof.mismatches, proof.placement) == (None, (), {"GPU.0": 1})
    assert proof.details["nodes_untold"] == "Not implemented"
    assert proof.details["GPU_MEMORY_STATISTICS"] == {"usm_device": 1 << 20}
    assert proof.budget["tf32"]["value"] is None


def test_another_device_and_a_narrower_type_are_mismatches(decode, tmp_path, monkeypatch):
    assert proved(decode, tmp_path, monkeypatch, device="CPU").mismatches == ("executes on CPU, not on GPU.0",)
    (said,) = proved(decode, tmp_path, monkeypatch, INFERENCE_PRECISION_HINT="f16").mismatches
    assert said == "INFERENCE_PRECISION_HINT is float16, the program is float32"


def test_devices_have_plugins_and_plugins_devices():
    assert [plugin_of(parse_backend("openvino"), kind) for kind in ("cpu", "xpu", "npu")] == [Plugin, Gpu, Npu]
    assert plugin_of(parse_backend("openvino:GPU"), "xpu") is Gpu
    assert Gpu(0).seen(("CPU", "GPU.0", "GPU.1", "NPU")) == ("GPU.0", "GPU.1")
    assert Gpu(1).executes_on == ("GPU.1",)
    assert Gpu(0).executes_on == ("GPU", "GPU.0")
    with pytest.raises(UsageError, match="unknown OpenVINO device 'gpuu'; did you mean 'gpu'"):
        plugin_of(parse_backend("openvino:gpuu"), "xpu")


def test_memory_is_absent_with_a_reason_of_its_own():
    assert Gpu(0).peaks()["allocator_peak_bytes"].reason == "GPU_MEMORY_STATISTICS tells what is held, and no peak"
    assert "CPU plugin tells no memory" in Plugin(0).peaks()["allocator_peak_bytes"].reason


def test_a_place_checks_shape_and_type():
    spec = toy.programs()["decode"].inputs[0]
    place = RemotePlace(spec, Context(), tensor_on)
    place.write(np.full(spec.shape, 7, np.int64))
    assert place.read().tolist() == [[7]]
    with pytest.raises(UsageError, match="the program takes int64"):
        place.write(np.zeros(spec.shape, np.int32))
