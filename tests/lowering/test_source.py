"""The module with its weights: mapped, tied, checked against the file."""

import dataclasses

import numpy as np
import pytest
from safetensors.numpy import save_file

from steelyard.contract import program as contract
from steelyard.core.errors import CheckpointError, SuiteError

torch = pytest.importorskip("torch")

from steelyard.lowering.source import (  # noqa: E402
    build_module,
    example_inputs,
    file_places,
    load_weights,
    stored_names,
)


@pytest.fixture
def weights_file(tmp_path):
    contract.write_weights({}, tmp_path)
    return tmp_path / "weights.safetensors"


def build(weights_file, **given):
    return build_module(contract.program("decode"), weights_file, in_place=False, **given)


def test_parameters_are_views_of_the_mapped_file(weights_file):
    module = build(weights_file)
    maps = [line for line in open("/proc/self/maps") if str(weights_file) in line]  # noqa: SIM115
    ranges = [tuple(int(end, 16) for end in line.split()[0].split("-")) for line in maps]
    for parameter in module.parameters():
        assert any(low <= parameter.data_ptr() < high for low, high in ranges)


def test_tied_tensors_are_one_object_without_gradient_in_eval_mode(weights_file):
    module = build(weights_file)
    assert module.head.weight is module.embed.weight
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())
    assert stored_names(module, load_weights(weights_file))["head.weight"] == "embed.weight"


def test_the_module_computes_the_reference(weights_file):
    prompt = contract.prompt_ids(3)
    module = build_module(contract.program("prefill"), weights_file, in_place=False, dtype="float64")
    with torch.no_grad():
        outputs = module(torch.from_numpy(prompt))
    right = contract.prefill_reference(prompt)
    assert outputs[1].dtype == torch.float64
    np.testing.assert_allclose(outputs[1].numpy(), right["logits"], rtol=1e-12)


def test_in_place_changes_the_given_state_and_functional_does_not(weights_file):
    program = contract.program("decode")
    for in_place in (True, False):
        inputs = example_inputs(program)
        with torch.no_grad():
            build_module(program, weights_file, in_place=in_place)(*inputs)
        assert bool(inputs[2].any()) is in_place


def rewritten(weights_file, change):
    arrays = contract.weights_arrays()
    change(arrays)
    save_file(arrays, weights_file)
    return weights_file


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda arrays: arrays.pop("key.weight"), "1 tensors missing: key.weight"),
        (lambda arrays: arrays.update(stray=np.zeros(2)), "1 tensors not part of the model: stray"),
        (
            lambda arrays: arrays.update({"key.weight": np.zeros((8, 9), np.float32)}),
            r"of another shape: key.weight \[8, 9\] instead of \[8, 8\]",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(weights_file, change, said):
    program = contract.program("decode")
    file = rewritten(weights_file, change)
    with pytest.raises(SuiteError, match=f"write_weights wrote other weights than .*{said}"):
        build_module(program, file, in_place=False)
    users = dataclasses.replace(program, weights=dataclasses.replace(program.weights, origin="checkpoint"))
    with pytest.raises(CheckpointError, match=f"does not fit the model: .*{said}"):
        build_module(users, file, in_place=False)


def test_a_file_that_is_no_safetensors(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"not at all")
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        build(tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        build(tmp_path / "absent.safetensors")


def stranded(*, in_place, kind, dtype):
    module = contract.build(in_place=in_place, kind=kind, dtype=dtype)
    module.register_buffer("table", torch.zeros(3, device="meta"), persistent=False)
    return module


def test_a_buffer_left_on_meta_is_an_error(weights_file):
    program = dataclasses.replace(contract.program("decode"), source=f"{__name__}:stranded")
    with pytest.raises(SuiteError, match="left on the meta device: table"):
        build_module(program, weights_file, in_place=False)


def test_places_in_the_file(weights_file):
    data = weights_file.read_bytes()
    for name, (offset, length) in file_places(weights_file).items():
        assert data[offset : offset + length] == contract.weights_arrays()[name].tobytes()
