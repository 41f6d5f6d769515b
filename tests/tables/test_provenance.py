"""What the caption of a figure says of the software: the driver is that of the run's own device."""

from dataclasses import replace

import pytest

from steelyard.core.backend import Device
from steelyard.tables.facts import gather
from steelyard.tables.provenance import software
from tests.fakes.runs import llm_points, synthetic_run

ENVIRONMENT = {
    "kernel": "6.8.0",
    "gpus": [{"name": "NVIDIA H100", "driver": "570.00"}],
    "accelerators": {"rocm": [{"driver": "amdgpu 6.10.5"}, {"driver": "amdgpu 6.12.0"}]},
}


@pytest.mark.parametrize(
    ("kind", "index", "environment", "driver"),
    [
        ("cpu", 0, ENVIRONMENT, "Kernel 6.8.0"),
        ("cuda", 0, ENVIRONMENT, "Driver 570.00"),
        ("rocm", 1, ENVIRONMENT, "Driver amdgpu 6.12.0"),
        ("xpu", 0, ENVIRONMENT, "Kernel 6.8.0"),
        ("rocm", 0, {"kernel": "6.8.0", "accelerators": {"value": None, "reason": "none"}}, "Kernel 6.8.0"),
    ],
)
def test_the_driver_is_that_of_the_device(kind, index, environment, driver):
    device = Device(kind=kind, index=index, name="A device", memory_bytes=None)
    run = synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",)), rounds=3, device=device)
    run = replace(run, manifest=replace(run.manifest, environment=environment))
    assert driver in software(gather(run))
