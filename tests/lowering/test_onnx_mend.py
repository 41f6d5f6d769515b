"""Language models as ONNX: right at every batch, and a decode step that writes one place of its cache in place."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from steelyard import wire
from steelyard.lowering.request import LoweringResponse

pytestmark = pytest.mark.backends

HERE = Path(__file__).parent
LLAMA = 0


@pytest.fixture(scope="module")
def point(decoders):
    """A Llama at a batch of 4 as standard ONNX."""
    return wire.read(decoders, LoweringResponse).points[LLAMA]


def decode_of(point):
    """The decode step's artifact and graph."""
    import onnx

    artifact = point.programs["decode"].artifacts["onnx@23"]
    return artifact, onnx.load(Path(artifact.directory) / artifact.entry, load_external_data=False).graph


def test_answers_of_a_batch_are_right(point, decoders):
    command = [sys.executable, str(HERE / "fresh_process.py"), str(decoders), str(LLAMA), "onnx@23"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["tokens_agree"]
    assert {name: error <= point.tolerances[name].limit for name, error in found["errors"].items()} == {
        "first_logits": True,
        "logits": True,
    }


def test_a_new_place_is_written_along_the_axis_of_the_cache(point):
    """Each cache goes from its input through one ScatterND to its output."""
    artifact, graph = decode_of(point)
    state = [name for name in artifact.inputs if name.startswith("cache.")]
    made = {output: node for node in graph.node for output in node.output}
    for name in state:
        node = made[f"next.{name}"]
        assert (node.op_type, node.input[0]) == ("ScatterND", name)
    assert artifact.details["mended"]["scatters_in_place"] == len(state)


def test_key_heads_are_not_repeated(point):
    """Attention reads the caches themselves, of fewer heads than there are queries."""
    artifact, graph = decode_of(point)
    attentions = [node for node in graph.node if node.op_type == "Attention"]
    assert len(attentions) == artifact.details["mended"]["heads_grouped"] == 2
    for layer, node in enumerate(attentions):
        assert list(node.input[1:3]) == [f"next.cache.{layer}.k", f"next.cache.{layer}.v"]


def test_the_write_computes_what_it_did():
    """Numbers before and after, and none is left of the transposes."""
    import onnx_ir as ir
    from onnx.reference import ReferenceEvaluator

    from steelyard.formats.onnx.mend import mend

    def graph(batch):
        """index_copy as the exporter writes it: brought to the front, scattered, brought back."""
        data = ir.val("data", ir.DataType.FLOAT, [batch, 3, 5, 4])
        rows = ir.val("rows", ir.DataType.INT64, [2, 1])
        updates = ir.val("updates", ir.DataType.FLOAT, [batch, 3, 2, 4])
        front = ir.node("Transpose", [data], {"perm": [2, 0, 1, 3]})
        turned = ir.node("Transpose", [updates], {"perm": [2, 0, 1, 3]})
        scatter = ir.node("ScatterND", [front.outputs[0], rows, turned.outputs[0]])
        out = ir.val("out", ir.DataType.FLOAT, [batch, 3, 5, 4])
        back = ir.node("Transpose", [scatter.outputs[0]], {"perm": [1, 2, 0, 3]}, outputs=[out])
        made = ir.Graph(
            [data, rows, updates], [out], nodes=[front, turned, scatter, back], opset_imports={"": 20}, name="copy"
        )
        for number, node in enumerate(made):
            for value in node.outputs:
                value.name = value.name or f"value{number}"
        return ir.Model(made, ir_version=10)

    random = np.random.default_rng(3)
    for batch in (1, 4):
        inputs = {
            "data": random.standard_normal((batch, 3, 5, 4)).astype(np.float32),
            "rows": np.array([[4], [1]]),
            "updates": random.standard_normal((batch, 3, 2, 4)).astype(np.float32),
        }
        model = graph(batch)
        (before,) = ReferenceEvaluator(ir.to_proto(model)).run(None, inputs)
        assert mend(model) == {"scatters_in_place": 1, "rotary_tables_expanded": 0, "heads_grouped": 0}
        assert Counter(node.op_type for node in model.graph)["Transpose"] == 0
        proto = ir.to_proto(model)
        (after,) = ReferenceEvaluator(proto).run(None, inputs)
        np.testing.assert_array_equal(before, after)
        np.testing.assert_array_equal(after[:, :, [4, 1]], inputs["updates"])
