"""The suite of trained models: what it claims of their files, its labels, and that the models are as good as they were
when they were published."""

import itertools
import math

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper
from steelyard.suites.realweights import (
    SUITE,
    drawn,
    file_types,
    files,
    paraphrases,
    specimens,
    text_boxes,
    text_lines,
    voice,
)

from steelyard.core.errors import CheckpointError, MissingPackage, UsageError
from steelyard.core.workload import SCORE, Point, Selection
from steelyard.lowering import packaged
from steelyard.plugins import load_attribute
from steelyard.sources.onnx import load

MODULES = {"text_boxes": text_boxes, "text_lines": text_lines, "file_types": file_types, "voice": voice}
ENOUGH = {"text_boxes": 0.95, "text_lines": 0.95, "file_types": 0.9, "voice": 0.9}
"""The share of right answers below which a model was fed with something that it was not made for."""
SETS = range(4)


def point(name: str) -> Point:
    (found,) = SUITE.points(Selection(device_kind="cpu", workloads=(name,)))
    return found


def model(name: str, tmp_path) -> "onnx.ModelProto":
    """The file as lowering keeps it, with the extents of the point."""
    program = point(name).programs["main"]
    files.write(program.weights.arguments, tmp_path, None)
    read = load(tmp_path / "model.onnx")
    shapes = {spec.name: spec.shape for spec in program.inputs}
    for value in read.graph.input:
        for dimension, extent in zip(value.type.tensor_type.shape.dim, shapes[value.name], strict=True):
            dimension.dim_value = extent
    return read


@pytest.mark.parametrize("name", MODULES)
def test_a_model_is_right_where_its_inputs_are_prepared_as_it_was_trained(name, tmp_path):
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model(name, tmp_path).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_outputs()]
    right = of = 0
    for index in SETS:
        arrays = MODULES[name].arrays(point(name), index)
        assert {spec.name: (spec.shape, spec.dtype) for spec in point(name).programs["main"].inputs} == {
            each: (array.shape, array.dtype.name) for each, array in arrays.items()
        }
        counted, number = MODULES[name].score(
            point(name), index, dict(zip(names, session.run(None, arrays), strict=True))
        )
        right, of = right + counted, of + number
        # Nothing is right of an answer that is the same everywhere.
        blank = {spec.name: np.zeros(spec.shape, np.float32) for spec in point(name).programs["main"].outputs}
        counted, _ = MODULES[name].score(point(name), index, blank)
        assert counted <= number / 2
    assert right / of >= ENOUGH[name], f"{right} of {of}"


@pytest.mark.parametrize("name", MODULES)
def test_work_is_that_of_the_file(name, tmp_path):
    read = model(name, tmp_path)
    values, graph = every_value(read, MODULES[name].arrays(point(name), 0)), read.graph
    weights = [numpy_helper.to_array(each) for each in graph.initializer]
    weights += [numpy_helper.to_array(each.attribute[0].t) for each in graph.node if each.op_type == "Constant"]
    assert point(name).work.weight_bytes == sum(array.nbytes for array in weights if array.dtype == np.float32)
    assert point(name).work.flop == sum(
        flop(node.op_type, [values[each].shape for each in node.input if each], values[node.output[0]].shape)
        for node in graph.node
    )


def every_value(read, arrays):
    """Every array that a call makes, with what it is given and constants."""
    import onnxruntime

    shown = onnx.ModelProto()
    shown.CopyFrom(read)
    del shown.graph.output[:]
    names = [name for node in shown.graph.node for name in node.output if name]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])
    made = dict(zip(names, session.run(names, arrays), strict=True))
    return made | arrays | {each.name: numpy_helper.to_array(each) for each in read.graph.initializer}


def flop(kind, inputs, output):
    """Of convolutions, products and recurrent layers, by the shapes of what they take and give."""
    if kind == "Conv":
        return 2 * math.prod(output) * math.prod(inputs[1][1:])
    if kind == "ConvTranspose":
        return 2 * math.prod(inputs[0]) * math.prod(inputs[1][1:])
    if kind == "MatMul":
        return 2 * math.prod(output) * inputs[0][-1]
    if kind == "LSTM":
        steps, batch, _ = inputs[0]
        return 2 * steps * batch * (math.prod(inputs[1]) + math.prod(inputs[2]))
    return 0


def test_it_has_one_size_and_no_axis():
    assert len(SUITE.points(Selection(device_kind="cpu"))) == 5
    with pytest.raises(UsageError, match="size 'tiny'"):
        SUITE.points(Selection(device_kind="cpu", size="tiny"))
    with pytest.raises(UsageError, match="has no axis 'batch'"):
        SUITE.points(Selection(device_kind="cpu", axes={"batch": ("2",)}))


def test_a_package_that_is_missing_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr(files, "packaged", lambda package, name: None)
    with pytest.raises(MissingPackage, match=r"'magika' is not installed: pip install 'steelyard\[realweights\]'"):
        point("file_types")


@pytest.mark.parametrize("name", MODULES)
def test_a_launch_counts_without_the_package(name, monkeypatch):
    planned, program = point(name), point(name).programs["main"]
    monkeypatch.setattr(files, "packaged", lambda package, path: None)
    answer = {spec.name: np.zeros(spec.shape, np.float32) for spec in program.outputs}
    right, of = MODULES[name].score(planned, 0, answer)
    assert 0 <= right < of


def test_another_file_than_was_planned_is_refused():
    arguments = {**point("voice").programs["main"].weights.arguments, "sha256": "0" * 64}
    with pytest.raises(CheckpointError, match="not the file that was planned"):
        files.planned(arguments)


def test_what_a_package_carries_is_known_by_its_record_and_by_its_path():
    found = packaged.packaged("magika", "standard_v3_3/model.onnx")
    assert found.sha256 == packaged.file_sha256(found.path)
    assert packaged.packaged("magika", "no_such/model.onnx") is None
    assert packaged.packaged("no-such-package", "model.onnx") is None


def test_sentences_are_counted_by_their_nearest_neighbour():
    count = load_attribute(point("sentences").settings[SCORE])
    pairs = np.repeat(np.eye(6, 384), 2, axis=0)
    assert count(point("sentences"), 0, {"embedding": pairs}) == (12, 12)
    assert count(point("sentences"), 0, {"embedding": np.roll(pairs, 1, axis=0)}) == (0, 12)
    texts = [text for pairs in paraphrases.SETS for pair in pairs for text in pair]
    assert len(texts) == len(set(texts)) == 96


def test_a_page_that_is_text_everywhere_has_no_line_found():
    everywhere = {"sigmoid_0.tmp_0": np.ones((1, 1, 640, 640), np.float32)}
    assert text_boxes.score(point("text_boxes"), 0, everywhere) == (0, 8)


def test_every_kind_of_file_has_a_label_of_the_model_and_other_bytes_by_another_seed():
    labels = files.told("magika", "models/standard_v3_3/config.min.json")["target_labels_space"]
    assert set(specimens.MAKERS) <= set(labels)
    assert specimens.files(3, 16) == specimens.files(3, 16)
    assert not {data for _, data in specimens.files(3, 16)} & {data for _, data in specimens.files(4, 16)}


@given(st.text("abc", max_size=6), st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_edits_are_a_distance(one, other, third):
    edits = text_lines._edits
    assert edits(one, other) == edits(other, one)
    assert (edits(one, other) == 0) == (one == other)
    assert edits(one, third) <= edits(one, other) + edits(other, third)
    assert abs(len(one) - len(other)) <= edits(one, other) <= max(len(one), len(other))


def test_lines_lie_on_their_page_and_not_on_each_other():
    for index in range(20):
        placed = drawn.placed(drawn.texts(index, 8), 640)
        assert all(0 < each.left < each.right < 640 for each in placed)
        assert all(above.middle + above.size < below.middle - below.size for above, below in itertools.pairwise(placed))


@pytest.mark.backends
@pytest.mark.full
def test_answers_decide_whether_an_approximation_counts_and_stand_beside_its_speed(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from steelyard.cli.main import app
    from steelyard.store import find_run, open_run
    from steelyard.tables.build import build

    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    asked = ["run", "--suite", "realweights", "--workload", "sentences,text_lines", "--quick", "--no-report"]
    asked += ["--backend", "onnxruntime,onnxruntime[int8]", "--baseline", "onnxruntime", "--output", str(tmp_path)]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    run = open_run(find_run(tmp_path, "latest"))
    read = [result for result in run.results if result.arm == "onnxruntime[int8]"]
    lines = [
        result for result in read if "score" in result.details.driver and result.details.driver["score"]["of"] > 500
    ]
    assert all(result.status == "ok" for result in lines)
    assert any("as many answers are right" in result.approximate for result in lines)
    table = build(run).table("quality")
    shares = {(row.tags["workload"], row.tags["arm"]): table.cell(row, "right").value for row in table.rows}
    assert 0.95 < shares["text_lines", "onnxruntime[int8]"] < shares["text_lines", "onnxruntime"] <= 1
