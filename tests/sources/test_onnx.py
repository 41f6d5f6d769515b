"""An ONNX file that nobody here wrote: read, given shapes, referenced in float64, run by what can read it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard import plugins
from steelyard.core.errors import CheckpointError, UsageError
from steelyard.core.workload import Point, Selection
from steelyard.lowering import foreign
from steelyard.lowering.points import points_of

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from steelyard.sources import onnx as source  # noqa: E402

SUITE = plugins.suite("model")


def file(folder: Path, *, batch: Any = "batch", name: str = "net.onnx", nodes: Any = (), **more: Any) -> Path:
    """y = relu(x @ w + b), z = argmax(y); further nodes go before the end."""
    random = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(random.standard_normal((8, 5)).astype("float32"), "w"),
        numpy_helper.from_array(random.standard_normal(5).astype("float32"), "b"),
    ]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["xw"]),
            helper.make_node("Add", ["xw", "b"], ["sum"]),
            helper.make_node("Relu", ["sum"], ["y"]),
            helper.make_node("ArgMax", ["sum"], ["z"], axis=1, keepdims=0),
            *nodes,
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 8])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 5]),
            helper.make_tensor_value_info("z", TensorProto.INT64, [batch]),
            *more.get("outputs", ()),
        ],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


def point(path: Path, *shapes: str) -> Point:
    axes = {"shape": shapes} if shapes else {}
    (found,) = points_of(SUITE, Selection(device_kind="cpu", weights_dir=str(path), axes=axes))
    return found


def test_open_extents_are_asked_for_and_outputs_read_off_a_call(tmp_path: Path) -> None:
    path = file(tmp_path)
    with pytest.raises(
        UsageError, match=r"input 'x' is \['batch', 8\], with open extents; give them, e.g. --shape x=1x8"
    ):
        point(path)
    program = point(path, "x=3x8").programs["main"]
    assert [(spec.name, spec.declared) for spec in program.inputs] == [("x", "float32[3, 8]")]
    assert [(spec.name, spec.declared) for spec in program.outputs] == [("y", "float32[3, 5]"), ("z", "int64[3]")]
    assert point(file(tmp_path, batch=2)).programs["main"].inputs[0].shape == (2, 8)


def test_an_extent_below_zero_is_open(tmp_path: Path) -> None:
    import onnx

    path = file(tmp_path, batch=2)
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    onnx.save(model, path)
    with pytest.raises(UsageError, match="with open extents"):
        point(path)
    assert point(path, "x=2x8").programs["main"].inputs[0].shape == (2, 8)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ("x=3x9", r"\[3, 9\] does not fit \['batch', 8\]"),
        ("x=3", r"\[3\] does not fit"),
        ("y=3x8", "input of net.onnx 'y'|open extents"),
        ("x=3xa", "not of the form"),
        ("x", "not of the form"),
    ],
)
def test_shapes_that_do_not_fit_are_named(tmp_path: Path, shape: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        point(file(tmp_path), shape)


@pytest.mark.parametrize("cut", [0, 3, 40, -20])
def test_bytes_that_are_no_model_are_refused(tmp_path: Path, cut: int) -> None:
    path = file(tmp_path, batch=1)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises((CheckpointError, UsageError), match=r"net\.onnx"):
        point(path)


@pytest.mark.parametrize("where", ["../../etc/passwd", "/etc/passwd", "..", "", "link"])
def test_weights_outside_of_the_folder_are_not_opened(tmp_path: Path, where: str) -> None:
    path = file(tmp_path, batch=1)
    (path.parent / "link").symlink_to("/etc/passwd")
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value=where)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match=f"'w' lie in '{re.escape(where)}', which is no file of its own folder"):
        point(path)


def test_weights_beside_the_model_are_part_of_it(tmp_path: Path) -> None:
    """As torch.onnx.export writes them unless it is told otherwise."""
    alone = file(tmp_path, batch=1)
    folder = tmp_path / "beside"
    folder.mkdir()
    path = folder / alone.name
    onnx.save(onnx.load(alone), path, save_as_external_data=True, location="net.data", size_threshold=0)
    facts, right = references(path, tmp_path, "x=1x8"), tmp_path / "out" / "0.reference.safetensors"
    assert facts["by"] == "the reference evaluator of onnx in float64"
    (tmp_path / "right").mkdir()
    references(alone, tmp_path / "right", "x=1x8")
    assert right.read_bytes() == (tmp_path / "right" / "out" / "0.reference.safetensors").read_bytes()
    before = point(path).programs["main"].weights
    data = bytearray((folder / "net.data").read_bytes())
    data[3] ^= 64
    (folder / "net.data").write_bytes(data)
    assert point(path).programs["main"].weights.key != before.key
    with pytest.raises(CheckpointError, match=r"not the file of weights net\.data that was looked at before"):
        source.write(before.arguments, tmp_path, path)
    (folder / "net.data").unlink()
    with pytest.raises(CheckpointError, match=r"its weights are not beside it: put net\.data there"):
        point(path)


@pytest.mark.parametrize("where", ["constant", "subgraph"])
def test_nor_are_those_of_attributes_and_subgraphs(tmp_path: Path, where: str) -> None:
    outside = TensorProto(name="secret", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="/etc/passwd")
    node = helper.make_node("Constant", [], ["secret"], value=outside)
    if where == "subgraph":
        inner = helper.make_graph([node], "inner", [], [helper.make_tensor_value_info("secret", 1, [1])])
        condition = helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True)))
        nodes = [condition, helper.make_node("If", ["yes"], ["q"], then_branch=inner, else_branch=inner)]
    else:
        nodes = [node]
    with pytest.raises(CheckpointError, match="'secret' lie in '/etc/passwd', which is no file of its own folder"):
        point(file(tmp_path, batch=1, nodes=nodes))


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("os.kill(os.getpid(), 11)", r"reading it ended the process \(signal 11\)"),
        ("os._exit(3)", r"reading it ended the process \(exit code 3\)"),
        ("time.sleep(60)", "took more than 2 s, and was ended|more than 2 s"),
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
    ],
)
def test_a_file_that_ends_its_reader_ends_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, said: str
) -> None:
    """A source of another package whose reader crashes, as a parser may on foreign bytes."""
    (tmp_path / "crashing.py").write_text(
        "import os, time\nfrom steelyard.plugins import source\n"
        "kind = type(source('onnx'))\n"
        f"def read(self, path, shapes):\n    {does}\n"
        "SOURCE = type('Crashing', (kind,), {'name': 'crashing', 'suffixes': ('.x',), 'program_of': read})()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(CheckpointError, match=said):
        foreign.program_of("crashing:SOURCE", tmp_path / "file.x", {}, timeout_s=2 if "sleep" in does else 60)


def test_what_is_no_file_of_a_known_kind_says_what_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--model FILE"):
        points_of(SUITE, Selection(device_kind="cpu"))
    with pytest.raises(UsageError, match=r"give one that ends with .*\.onnx"):
        point(tmp_path / "model.bin")
    with pytest.raises(UsageError, match="there is no such file"):
        point(tmp_path / "absent.onnx")


class Weights:
    """An entry of the cache with the file."""

    def __init__(self, path: Path) -> None:
        self.path = path


def references(path: Path, tmp_path: Path, *shapes: str) -> dict[str, Any]:
    found = point(path, *shapes)
    entry, out = tmp_path / "entry", tmp_path / "out"
    for folder in (entry, out):
        folder.mkdir()
    weights = found.programs["main"].weights
    source.write(weights.arguments, entry, path)
    held = {weights.key: Weights(entry)}
    return dict(source.SOURCE.references(found, held, None, 2, out))  # type: ignore[arg-type]


def test_references_are_in_float64_and_agree_with_numpy(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    path = file(tmp_path)
    facts = references(path, tmp_path, "x=3x8")
    assert facts["by"] == "the reference evaluator of onnx in float64"
    w, b = (numpy_helper.to_array(tensor).astype("float64") for tensor in onnx.load(path).graph.initializer)
    for index in range(2):
        x = load_file(tmp_path / "out" / f"{index}.inputs.safetensors")["x"]
        right = load_file(tmp_path / "out" / f"{index}.reference.safetensors")
        assert right["y"].dtype == np.float64
        np.testing.assert_allclose(right["y"], np.maximum(x.astype("float64") @ w + b, 0), rtol=1e-14)
    assert facts["tolerances"]["y"]["limit"] < 1e-4


def test_without_float64_the_row_says_what_the_reference_is(tmp_path: Path) -> None:
    then = helper.make_graph(
        [helper.make_node("Identity", ["sum"], ["t"])], "t", [], [helper.make_tensor_value_info("t", 1, None)]
    )
    other = helper.make_graph(
        [helper.make_node("Neg", ["sum"], ["e"])], "e", [], [helper.make_tensor_value_info("e", 1, None)]
    )
    nodes = [
        helper.make_node("ReduceSum", ["sum"], ["total"], keepdims=0),
        helper.make_node("Cast", ["total"], ["positive"], to=TensorProto.BOOL),
        helper.make_node("If", ["positive"], ["q"], then_branch=then, else_branch=other),
    ]
    outputs = [helper.make_tensor_value_info("q", TensorProto.FLOAT, [2, 5])]
    facts = references(file(tmp_path, batch=2, nodes=nodes, outputs=outputs), tmp_path)
    assert facts["by"].startswith("ONNX Runtime in float32 without optimisation")
    assert "If has a graph of its own" in facts["by"]
    assert {each["limit"] for each in facts["tolerances"].values()} == {1e-4}


def test_a_file_that_was_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path, batch=1)
    arguments = point(path).programs["main"].weights.arguments
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(CheckpointError, match="was changed, or is another one"):
        source.write(arguments, tmp_path, path)


def bench(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "steelyard", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.backends
def test_a_file_runs_where_it_can_be_read_and_every_other_backend_says_why_not(tmp_path: Path) -> None:
    path = file(tmp_path, name="my <b> net.onnx")
    run = ["run", "--model", str(path), "--shape", "x=4x8", "--quick", "--window", "0.1", "--threads", "1"]
    done = bench(*run, "--backend", "all", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "the baseline eager cannot run here: all are compared with onnxruntime instead" in done.stderr
    shown = json.loads(bench("show", "latest", "--json", cwd=tmp_path).stdout)
    status = {row["arm"]: row["status"] for row in shown["rows"] if not row["control"]}
    assert status == {
        "onnxruntime": "ok",
        "openvino": "ok",
        "eager": "unsupported",
        "inductor": "unsupported",
        "xla": "unsupported",
    }
    (folder,) = (tmp_path / "bench-results").glob("*-model-*")
    assert "<b>" not in (folder / "report" / "report.html").read_text().replace("\\u003c", "<").split("<style")[0]
    again = bench("run", "--resume", "latest", "--rounds", "1", "--no-report", cwd=tmp_path)
    assert again.returncode != 0
    assert "--model FILE" in again.stderr
    more = bench("run", "--resume", "latest", "--model", str(path), "--rounds", "1", "--no-report", cwd=tmp_path)
    assert more.returncode == 0, more.stderr[-2000:]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--shape", "x=1x8"), "--shape goes with --model"),
        (("--model", "net.onnx", "--weights", "folder"), "leave --weights out"),
        (("--model", "net.onnx", "--suite", "vision"), "leave one of --suite and --model out"),
        (("--model", "absent.onnx"), "there is no such file"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: tuple[str, ...], said: str) -> None:
    from typer.testing import CliRunner

    from steelyard.cli.main import app

    error = CliRunner().invoke(app, ["run", *options, "--dry-run"]).exception
    assert isinstance(error, UsageError)
    assert said in str(error)
