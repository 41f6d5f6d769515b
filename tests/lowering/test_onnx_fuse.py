"""Language models as ONNX Runtime's own operators: the answers of standard ONNX, and every layer fused that can be."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from steelyard import wire
from steelyard.formats.onnx.fuse import fuse
from steelyard.lowering.request import LoweringResponse
from tests.lowering.conftest import DECODERS

pytestmark = pytest.mark.backends

HERE = Path(__file__).parent
LAYERS, CAPACITY = 2, 64
INDICES = pytest.mark.parametrize("index", range(len(DECODERS)), ids=DECODERS)
NOTHING = {"rotary": 0, "attention": 0, "rotary_inside": 0, "projections": 0, "norms": 0}
DONE = {
    "llama": {"attention": LAYERS, "rotary_inside": LAYERS, "projections": LAYERS, "norms": 2 * LAYERS},
    # Queries and keys go through a norm of their own between projection and rotation.
    "qwen3": {"attention": LAYERS, "rotary_inside": LAYERS, "norms": 2 * LAYERS},
    # Its positions are added to the input; ONNX Runtime itself fuses LayerNormalization with sums.
    "gpt2": {"attention": LAYERS, "projections": LAYERS},
}


@pytest.fixture(scope="module")
def points(decoders):
    return wire.read(decoders, LoweringResponse).points


def _artifacts(point, kind):
    """The program as ONNX Runtime's operators, and as standard ONNX."""
    return [point.programs[kind].artifacts[form] for form in ("onnx", "onnx@23")]


def _session(artifact):
    import onnxruntime

    return onnxruntime.InferenceSession(Path(artifact.directory) / artifact.entry)


@INDICES
def test_answers_are_right(decoders, points, index):
    command = [sys.executable, str(HERE / "fresh_process.py"), str(decoders), str(index), "onnx"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["tokens_agree"]
    assert all(error <= points[index].tolerances[name].limit for name, error in found["errors"].items())


@INDICES
def test_a_prompt_gives_what_standard_onnx_gives(points, index):
    point = points[index]
    (ids,) = point.programs["prefill"].program.inputs
    inputs = {"input_ids": np.random.default_rng(index).integers(0, 500, ids.shape)}
    fused, plain = (_session(artifact).run(None, inputs) for artifact in _artifacts(point, "prefill"))
    np.testing.assert_array_equal(fused[0], plain[0])
    for after, before in zip(fused[1:], plain[1:], strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=2e-5)
        if after.ndim == 4:
            assert not after[:, :, ids.shape[1] :].any()


@INDICES
def test_a_step_gives_what_standard_onnx_gives_at_every_position(points, index):
    point = points[index]
    random = np.random.default_rng(index)
    fused, plain = (_session(artifact) for artifact in _artifacts(point, "decode"))
    for position in range(CAPACITY):
        inputs = {
            spec.name: random.standard_normal(spec.shape).astype(np.float32)
            if spec.role == "state"
            else random.integers(0, 500, spec.shape)
            for spec in point.programs["decode"].program.inputs
        }
        inputs["position"] = np.array([position])
        found, wanted = fused.run(None, inputs), plain.run(None, inputs)
        np.testing.assert_allclose(found[1], wanted[1], rtol=1e-4, atol=2e-5)
        for after, before in zip(found[2:], wanted[2:], strict=True):
            np.testing.assert_allclose(after[:, :, : position + 1], before[:, :, : position + 1], rtol=1e-4, atol=2e-5)


@INDICES
@pytest.mark.parametrize("kind", ["prefill", "decode"])
def test_every_layer_is_fused(points, index, kind):
    import onnx

    model, _ = list(DECODERS.items())[index]
    fused, plain = _artifacts(points[index], kind)
    graph = onnx.load(Path(fused.directory) / fused.entry, load_external_data=False).graph
    kinds = Counter(node.op_type for node in graph.node)
    written_out = {"rotary": 2 * LAYERS} if kind == "prefill" and model != "gpt2" else {}
    assert fused.details["fused"] == {**NOTHING, **DONE[model], **written_out}
    assert plain.details["fused"] == {}
    assert kinds["GroupQueryAttention"] == LAYERS
    assert kinds["SkipSimplifiedLayerNormalization"] == DONE[model].get("norms", 0)
    left = {"Attention", "RotaryEmbedding", "ScatterND", "Concat", "Slice", "Pad", "Transpose", "Cos", "Sin", "Split"}
    assert not left & set(kinds)
    assert fused.details["whole_at"] == ({"position": CAPACITY - 1} if kind == "decode" else {})


@INDICES
def test_packed_weights_lie_with_the_others(points, index):
    """Once for both programs of a model, as many bytes as in standard ONNX."""
    artifacts = [points[index].programs[kind].artifacts["onnx"] for kind in ("prefill", "decode")]
    plain = points[index].programs["decode"].artifacts["onnx@23"]
    assert [each.weight_bytes for each in artifacts] == [plain.weight_bytes] * 2
    assert [each.weight_note for each in artifacts] == [plain.weight_note] * 2
    files = [Path(each.directory) / "transposed.bin" for each in artifacts]
    assert [file.exists() for file in files] == [list(DECODERS)[index] != "gpt2"] * 2  # its weights are as wanted
    if files[0].exists():
        assert files[0].samefile(files[1])


def _decode_step(*, mask_to="position", written_at="position", width=8, dtype="FLOAT"):
    """A decode step's attention as it comes out of `mend`: 4 query heads and 2 key heads, 8 places."""
    import onnx_ir as ir

    number = ir.DataType[dtype]
    batch, heads, groups, capacity = 1, 2, 2, 8
    made = []

    def node(kind, inputs, attributes=None, shape=None, dtype=number):
        found = ir.node(kind, inputs, attributes or {})
        found.outputs[0].name = f"value{len(made)}"
        found.outputs[0].dtype, found.outputs[0].shape = dtype, ir.Shape(shape)
        made.append(found)
        return found.outputs[0]

    def const(name, array):
        return ir.val(name, const_value=ir.tensor(array, name=name))

    integers = ir.DataType.INT64
    ends = {name: ir.val(name, integers, [1]) for name in ("position", "other")}
    x = {
        name: ir.val(name, number, [batch, 1, count * width])
        for name, count in (("q", heads * groups), ("k", heads), ("v", heads))
    }
    caches = [ir.val(f"cache.{part}", number, [batch, heads, capacity, width]) for part in "kv"]
    held = [
        const("arange", np.arange(capacity)),
        const("axes", np.array([0, 1, 2])),
        const("front", np.array([0])),
        const("shape", np.array([batch, heads, 1, 1])),
        const("grid", np.moveaxis(np.indices((batch, heads, 1))[:2], 0, -1)),
        *(const(f"to/{name}", np.array([batch, 1, -1, width])) for name in x),
        const("joined", np.array([batch, 1, heads * groups * width])),
    ]
    of = {value.name: value for value in held}
    mask = node("LessOrEqual", [of["arange"], ends[mask_to]], shape=[capacity], dtype=ir.DataType.BOOL)
    mask = node("Unsqueeze", [mask, of["axes"]], shape=[1, 1, 1, capacity], dtype=ir.DataType.BOOL)
    rows = node("Unsqueeze", [ends[written_at], of["front"]], shape=[1, 1], dtype=integers)
    rows = node("Expand", [rows, of["shape"]], shape=[batch, heads, 1, 1], dtype=integers)
    places = node("Concat", [of["grid"], rows], {"axis": -1}, [batch, heads, 1, 3], integers)
    split = {}
    for name, value in x.items():
        count = value.shape[2] // width
        split[name] = node("Reshape", [value, of[f"to/{name}"]], shape=[batch, 1, count, width])
        split[name] = node("Transpose", [split[name]], {"perm": [0, 2, 1, 3]}, [batch, count, 1, width])
    present = [
        node("ScatterND", [cache, places, split[part]], shape=list(cache.shape))
        for cache, part in zip(caches, "kv", strict=True)
    ]
    out = node(
        "Attention", [split["q"], *present, mask], {"scale": 0.5, "is_causal": 0}, [batch, heads * groups, 1, width]
    )
    out = node("Transpose", [out], {"perm": [0, 2, 1, 3]}, [batch, 1, heads * groups, width])
    out = node("Reshape", [out, of["joined"]], shape=[batch, 1, heads * groups * width])
    graph = ir.Graph(
        [*x.values(), *ends.values(), *caches],
        [out, *present],
        nodes=made,
        initializers=held,
        opset_imports={"": 23},
        name="step",
    )
    return ir.Model(graph, ir_version=10)


def _run(model, inputs):
    import onnx_ir as ir
    import onnxruntime

    for index, value in enumerate(model.graph.outputs):
        value.name = f"out{index}"
    session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString())
    return session.run(None, inputs)


def test_a_step_attends_and_writes_as_before_at_every_position():
    random = np.random.default_rng(5)
    shapes = {"q": (1, 1, 32), "k": (1, 1, 16), "v": (1, 1, 16), "cache.k": (1, 2, 8, 8), "cache.v": (1, 2, 8, 8)}
    fused = _decode_step()
    done, whole_at = fuse(fused)
    assert done == {**NOTHING, "attention": 1}
    assert {value.name: place for value, place in whole_at.items()} == {"position": 7}
    assert "ScatterND" not in {node.op_type for node in fused.graph}
    for position in range(8):
        inputs = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        inputs |= {"position": np.array([position]), "other": np.array([7])}
        before, after = (_run(model, inputs) for model in (_decode_step(), fused))
        np.testing.assert_allclose(after[0], before[0], rtol=1e-5, atol=1e-6)
        for old, new in zip(before[1:], after[1:], strict=True):
            np.testing.assert_array_equal(new[:, :, : position + 1], old[:, :, : position + 1])


@pytest.mark.parametrize(
    "unlike",
    [{"mask_to": "other"}, {"written_at": "other"}, {"width": 4}, {"dtype": "FLOAT16"}, {"dtype": "BFLOAT16"}],
    ids=lambda unlike: "{}={}".format(*next(iter(unlike.items()))),
)
def test_a_step_that_the_operator_does_not_compute_stays(unlike):
    model = _decode_step(**unlike)
    before = [node.op_type for node in model.graph]
    assert fuse(model) == (NOTHING, {})
    assert [node.op_type for node in model.graph] == before
    assert list(model.opset_imports) == [""]
