"""The suite of graphs that the package onnx carries: what is claimed of them, and that answers depend on images."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper, shape_inference
from steelyard.suites.onnx_zoo import GRAPHS, SUITE, Graph, folder, write

from steelyard.core.errors import UsageError
from steelyard.core.workload import Selection
from steelyard.sources.onnx import load


def shapes_of(graph: Any) -> Mapping[str, tuple[int, ...]]:
    values = [*graph.value_info, *graph.input, *graph.output]
    return {value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim) for value in values}


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_work_is_that_of_the_file(graph: Graph) -> None:
    model = onnx.load(folder() / graph.file)
    shapes = shapes_of(shape_inference.infer_shapes(model, data_prop=True).graph)
    held = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    filled = [tuple(held[node.input[0]]) for node in model.graph.node if node.op_type == "ConstantOfShape"]
    flop = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            flop += 2 * math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
        if node.op_type == "Gemm":
            flop += 2 * math.prod(shapes[node.input[1]])
    assert graph.flop == flop
    assert graph.parameters == sum(map(math.prod, filled))
    assert shapes[graph.ends[0]] == (1, 3, 224, 224)
    assert shapes[graph.ends[1]] == graph.shape


@pytest.mark.parametrize("name", ["shufflenet", "squeezenet", "inception_v1"])
def test_an_answer_depends_on_its_image_and_the_graph_is_as_it_was(name: str, tmp_path: Path) -> None:
    (point,) = SUITE.points(Selection(device_kind="cpu", workloads=(name,)))
    written = []
    for folder_ in (tmp_path / "one", tmp_path / "other"):
        folder_.mkdir()
        write(point.programs["main"].weights.arguments, folder_, None)
        written.append((folder_ / "model.onnx").read_bytes())
    assert written[0] == written[1]
    model = load(tmp_path / "one/model.onnx")
    before = onnx.load(folder() / GRAPHS[name].file)
    kinds = [node.op_type for node in before.graph.node if node.op_type != "ConstantOfShape"]
    assert [node.op_type for node in model.graph.node] == kinds
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (image,) = point.programs["main"].inputs
    random = np.random.default_rng(0)
    answers = [
        session.run(None, {image.name: random.standard_normal(image.shape).astype(np.float32)})[0] for _ in range(2)
    ]
    assert answers[0].max() < 0.5, "no class has it all"
    assert np.linalg.norm(answers[0] - answers[1]) > 0.01 * np.linalg.norm(answers[0])


def test_it_has_one_size_and_no_axis() -> None:
    assert len(SUITE.points(Selection(device_kind="cpu"))) == len(GRAPHS) == 9
    with pytest.raises(UsageError, match="size 'tiny'"):
        SUITE.points(Selection(device_kind="cpu", size="tiny"))
    with pytest.raises(UsageError, match="has no axis 'batch'"):
        SUITE.points(Selection(device_kind="cpu", axes={"batch": ("2",)}))
