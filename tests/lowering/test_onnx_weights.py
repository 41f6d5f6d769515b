"""Where ONNX initializers lie: in the shared weights, transposed once beside them, or by themselves."""

import dataclasses

import numpy as np
import pytest

from steelyard.contract import program as contract
from steelyard.core.workload import TensorSpec

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from steelyard.lowering import format as formats  # noqa: E402
from steelyard.lowering.cache import Cache  # noqa: E402
from steelyard.lowering.source import build_with, example_inputs, load_weights, stored_names  # noqa: E402

pytestmark = pytest.mark.backends
WIDTH, VOCABULARY = 32, 40


def build(*, in_place, scale):
    class Wide(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(VOCABULARY, WIDTH, device="meta")
            self.up = torch.nn.Linear(WIDTH, WIDTH, device="meta")
            self.head = torch.nn.Linear(WIDTH, VOCABULARY, bias=False, device="meta")
            self.head.weight = self.embed.weight
            table = torch.linspace(0, scale, WIDTH * 16).reshape(16, WIDTH)
            self.register_buffer("table", table, persistent=False)

        def forward(self, input_ids):
            return (self.head(torch.relu(self.up(self.embed(input_ids) + self.table))),)

    return Wide()


@pytest.fixture
def made(tmp_path):
    """The source of one program, twice with different tables."""
    generator = torch.Generator().manual_seed(1)
    shapes = {"embed.weight": (VOCABULARY, WIDTH), "up.weight": (WIDTH, WIDTH), "up.bias": (WIDTH,)}
    weights_file = tmp_path / "weights.safetensors"
    save_file({name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}, weights_file)
    cache = Cache(tmp_path / "cache")
    return lambda scale: _source(cache, weights_file, scale)


def _source(cache, weights_file, scale):
    program = dataclasses.replace(
        contract.program("prefill"),
        source=f"{__name__}:build",
        arguments={"scale": scale},
        inputs=(TensorSpec(name="input_ids", shape=(2, 16), dtype="int64"),),
        outputs=(TensorSpec(name="logits", shape=(2, 16, VOCABULARY), dtype="float32"),),
    )
    tensors = load_weights(weights_file)
    module = build_with(program, tensors, in_place=False)
    exported = torch.export.export(module, example_inputs(program), strict=False)
    source = formats.Exported(
        program=program,
        exported=exported,
        tensors=tensors,
        stored=stored_names(module, tensors),
        weights_file=weights_file,
        weights_key="w",
        platform="cpu",
        cache=cache,
    )
    return source, module


def test_weights_are_shared_and_the_runtime_accepts_it(made, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    inodes = []
    for scale in (1.0, 2.0):
        source, module = made(scale)
        directory = tmp_path / f"artifact{scale}"
        directory.mkdir()
        draft = formats.format_of("onnx")[0].convert(source, directory, "20")
        files = {path.name: path.stat() for path in directory.iterdir()}
        assert set(files) == {"model.onnx", "weights.safetensors", "transposed.bin", "constants.bin"}
        assert files["weights.safetensors"].st_ino == source.weights_file.stat().st_ino
        assert files["constants.bin"].st_size == 16 * WIDTH * 4
        assert files["model.onnx"].st_size < 10_000
        inodes.append(files["transposed.bin"].st_ino)
        # The exporter turns the tied table round for the last layer and gathers from it as it is.
        assert draft.weight_bytes == source.weight_bytes + source.tensors["embed.weight"].nbytes
        assert draft.weight_note == "as stored and transposed: embed.weight"
        ids = np.random.default_rng(0).integers(0, VOCABULARY, (2, 16))
        (found,) = onnxruntime.InferenceSession(directory / draft.entry).run(None, {"input_ids": ids})
        with torch.no_grad():
            np.testing.assert_allclose(found, module(torch.from_numpy(ids))[0].numpy(), rtol=1e-4, atol=1e-5)
    assert inodes[0] == inodes[1]


def test_a_weight_that_the_exporter_folded_away_is_told(made, tmp_path):
    from steelyard.formats.onnx.weights import Places

    source, _ = made(1.0)
    made_model = torch.onnx.export(source.exported, dynamo=True, opset_version=20, verbose=False).model
    bias = made_model.graph.initializers["up.bias"]
    bias.const_value = type(bias.const_value)(torch.ones(WIDTH), name="up.bias")
    places = Places(source, tmp_path)
    places.settle(made_model.graph.initializers)
    assert "1 stored tensors (128 B: up.bias) were reshaped or folded" in places.note


def test_operators_of_onnx_runtime_are_written_for_a_cpu_alone_and_not_where_a_set_is_asked_for(made, tmp_path):
    source, _ = made(1.0)
    for place, option, rules in (("cpu", None, 5), ("cpu", "23", 0), ("cuda", None, 0)):
        directory = tmp_path / f"{place}{option}"
        directory.mkdir()
        draft = formats.format_of("onnx")[0].convert(dataclasses.replace(source, platform=place), directory, option)
        assert len(draft.details["fused"]) == rules
        assert draft.details["opset"] == 23


def test_weights_side_by_side_refer_to_one_place(made, tmp_path):
    import onnx_ir as ir

    from steelyard.formats.onnx.weights import SIDE_BY_SIDE, Places

    source, _ = made(1.0)
    names = [name for name, tensor in source.tensors.items() if tensor.ndim == 2 and tensor.shape[1] == WIDTH]
    parts = [ir.val(name, const_value=ir.tensor(source.tensors[name].numpy().T, name=name)) for name in names]
    whole = np.concatenate([source.tensors[name].numpy() for name in names]).T
    packed = ir.val("packed", const_value=ir.tensor(whole, name="packed"))
    packed.meta[SIDE_BY_SIDE] = tuple(parts)
    places = Places(source, tmp_path)
    places.settle({"packed": packed})
    held = packed.const_value
    stored = np.fromfile(tmp_path / held.location, np.float32, whole.size, offset=held.offset)
    assert held.location == "transposed.bin"
    np.testing.assert_array_equal(stored.reshape(held.shape.numpy()), whole)
    assert places.weight_bytes >= whole.nbytes
    assert "as stored" not in places.note
