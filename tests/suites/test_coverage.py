"""The suite `coverage`: what its file says of an architecture is so, and it reaches the backends."""

import pytest
import torch
from safetensors.torch import load_file
from steelyard.suites.coverage import LEFT_OUT, SUITE

from steelyard import plugins
from steelyard.core.workload import Selection
from steelyard.engine.lower import lower_points
from steelyard.lowering.plain import build, make, write

POINTS = {point.workload: point for point in SUITE.points(Selection(device_kind="cpu"))}
SAMPLE = [*list(POINTS)[::40], "t5", "resnet", "mamba"]


def test_hundreds_of_architectures_are_in_it_and_all_others_have_a_reason():
    assert len(POINTS) > 300
    assert not set(POINTS) & set(LEFT_OUT)
    assert all(LEFT_OUT.values())
    assert SUITE.headline in POINTS
    assert plugins.suite("coverage") is SUITE


@pytest.mark.backends
@pytest.mark.parametrize("name", SAMPLE)
def test_a_model_is_as_the_file_says(name):
    program = POINTS[name].programs["main"]
    module = build(in_place=False, **{key: program.arguments[key] for key in program.arguments})
    assert 4 * sum(each.numel() for each in module.parameters()) == POINTS[name].work.weight_bytes
    for part in module.modules():  # buffers are there already
        for key, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[key] = torch.nn.Parameter(0.02 * torch.randn(parameter.shape), requires_grad=False)
    inputs = [
        torch.ones(spec.shape, dtype=torch.int64) if spec.dtype == "int64" else torch.randn(spec.shape)
        for spec in program.inputs
    ]
    with torch.inference_mode():
        outputs = module(*inputs)
    assert [tuple(value.shape) for value in outputs] == [spec.shape for spec in program.outputs]


@pytest.mark.backends
def test_a_mixture_of_experts_has_a_reference_in_float64(tmp_path):
    point = POINTS["mixtral"]
    program = point.programs["main"]
    module = build(in_place=False, **program.arguments)
    write(program.weights.arguments, tmp_path, None)
    stored = {name: value.double() for name, value in load_file(tmp_path / "weights.safetensors").items()}
    module.load_state_dict(stored, assign=True)
    (entry,) = make(point, {"main": module}, None, 1)
    assert {value.dtype for value in entry.references.values()} == {torch.float64}


@pytest.mark.backends
@pytest.mark.parametrize("name", ["dinov3_vit", "swinv2"])  # an empty tensor among its weights; a table in float32
def test_what_has_once_failed_is_lowered(name, tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path))
    chosen = SUITE.points(Selection(device_kind="cpu", workloads=(name,)))
    lowered, failures = lower_points(chosen, ("module", "onnx"), weights_dir=None, device_kind="cpu", say=print)
    assert not failures
    (point,) = lowered.values()
    assert set(point.programs["main"].artifacts) == {"onnx"}
