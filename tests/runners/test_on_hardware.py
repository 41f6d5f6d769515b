"""The contract of every runner on the accelerators of this machine: `pytest -m hardware tests/runners`.

One class for each backend and device that is here; without any, one test that skips with the reason.
"""

import pytest

from steelyard import plugins
from steelyard.adapters.onnxruntime_provider import PROVIDERS
from steelyard.contract.runner import RunnerContract
from steelyard.core.backend import Device, parse_backend
from steelyard.engine.probe import probe
from steelyard.hardware.devices import devices

pytestmark = [pytest.mark.hardware, pytest.mark.backends]

ACCELERATORS = tuple(device for device in devices() if device.kind != "cpu")
TOLERANCE = {"npu": 2e-2}
"""The largest relative error where a device computes in half precision whatever it is told."""


def backends(kind: str) -> tuple[str, ...]:
    """The backends that are written for a kind of device, every provider of ONNX Runtime by name."""
    found = [name for name, runner in plugins.runners().items() if kind in runner.kinds and not runner.idle]
    named = [f"onnxruntime:{name}" for name, provider in PROVIDERS.items() if provider.device == kind]
    return (*(name for name in found if name != "onnxruntime"), *named)


class OnHardware(RunnerContract):
    """The contract, skipped with the reason where the backend is not there."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _available(cls) -> None:
        spec = parse_backend(cls.backend)
        found = probe([spec.text], cls.device.kind)[spec.text]
        if not found.available:
            pytest.skip(f"{cls.backend} on {cls.device.id}: {found.reason}")


def contract(backend: str, device: Device) -> type[OnHardware]:
    """The contract of a backend on a device, as a class that pytest collects."""
    name = "Test" + "".join(part.title() for part in f"{backend}:{device.id}".split(":"))
    tolerance = TOLERANCE.get(device.kind, OnHardware.relative_l2)
    return type(name, (OnHardware,), {"backend": backend, "device": device, "relative_l2": tolerance})


for _device in ACCELERATORS:
    for _backend in backends(_device.kind):
        _class = contract(_backend, _device)
        globals()[_class.__name__] = _class


def test_there_is_an_accelerator():
    if not ACCELERATORS:
        pytest.skip("no accelerator on this machine: `bench list devices` tells what was found")
    for device in ACCELERATORS:
        assert backends(device.kind), f"no backend is written for {device.id}"
