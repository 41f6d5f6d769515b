"""Which contracts `-m hardware` makes, tried with devices that are not here."""

import pytest

from steelyard.core.backend import Device
from tests.runners.test_on_hardware import OnHardware, backends, contract

pytestmark = pytest.mark.backends


def test_every_kind_has_its_backends_and_every_provider_is_named():
    assert set(backends("cuda")) == {"eager", "inductor", "xla", "onnxruntime:cuda", "onnxruntime:tensorrt"}
    assert set(backends("rocm")) == {"eager", "inductor", "xla", "onnxruntime:migraphx"}
    assert set(backends("xpu")) == {"eager", "inductor", "openvino"}
    assert set(backends("mps")) == {"eager", "inductor", "onnxruntime:coreml"}
    assert (backends("tpu"), backends("npu")) == (("xla",), ("openvino",))


def test_a_contract_is_a_class_of_its_own():
    device = Device(kind="cuda", index=1, name="a GPU", memory_bytes=None)
    made = contract("onnxruntime:tensorrt", device)
    assert made.__name__ == "TestOnnxruntimeTensorrtCuda1"
    assert issubclass(made, OnHardware)
    assert (made.backend, made.device) == ("onnxruntime:tensorrt", device)
