"""A model in OpenVINO's own form: two files, run by OpenVINO alone."""

from pathlib import Path

import numpy as np
import pytest

from steelyard.adapters.openvino_precision import narrower
from steelyard.core.errors import CheckpointError, UsageError
from tests.sources.own import lowered, point, statuses

openvino = pytest.importorskip("openvino")
pytest.importorskip("torch")

WEIGHTS = np.random.default_rng(0).standard_normal((8, 5)).astype("float32")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))


def saved(folder: Path) -> Path:
    """y = relu(x @ w) for any number of rows, the weights in half precision, as the converter writes them."""
    from openvino import opset15 as ops

    x = ops.parameter([-1, 8], np.float32, name="x")
    y = ops.relu(ops.matmul(x, ops.constant(WEIGHTS), False, False))
    x.output(0).set_names({"x"})
    y.output(0).set_names({"y", "other"})
    openvino.save_model(openvino.Model([y], [x], "net"), folder / "net.xml")
    return folder / "net.xml"


def test_extents_are_asked_for_and_outputs_read_off_a_call(tmp_path: Path) -> None:
    path = saved(tmp_path)
    with pytest.raises(UsageError, match=r"input 'x' is \['\?', 8\], with open extents; give them, e.g. --shape x=1x8"):
        point(path)
    program = point(path, "x=3x8").programs["main"]
    assert [f"{spec.name} {spec.declared}" for spec in (*program.inputs, *program.outputs)] == [
        "x float32[3, 8]",
        "other float32[3, 5]",
    ]
    with pytest.raises(UsageError, match=r"\[3, 9\] does not fit"):
        point(path, "x=3x9")


def test_weights_are_beside_the_model_or_it_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    inside = tmp_path / "elsewhere"
    inside.mkdir()
    weights = path.with_suffix(".bin").rename(inside / "net.bin")
    with pytest.raises(CheckpointError, match=r"its weights are not beside it: put net\.bin there"):
        point(path, "x=3x8")
    path.with_suffix(".bin").symlink_to(weights)
    with pytest.raises(CheckpointError, match=r"its weights net\.bin lie in another folder"):
        point(path, "x=3x8")


def test_bytes_that_are_no_model_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    whole = path.read_text()
    for text, said in (
        ("", "which is XML"),
        ("ONNX", "which is XML"),
        (whole[: len(whole) // 2], "OpenVINO cannot read it"),
        (whole.replace('size="80"', 'size="80000"'), "OpenVINO cannot read it"),
        (whole.replace('type="ReLU"', 'type="Mine"'), "OpenVINO cannot read it"),
    ):
        path.write_text(text)
        with pytest.raises(CheckpointError, match=said):
            point(path, "x=3x8")


def test_other_weights_are_another_model(tmp_path: Path) -> None:
    path = saved(tmp_path)
    before = point(path, "x=3x8")
    weights = path.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:-2] + b"\0\0")
    assert point(path, "x=3x8").key != before.key


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([("Const", "f16"), ("Transpose", "f16"), ("FullyConnected", "f32")], []),
        ([("FullyConnected", "f16"), ("Relu", "bf16")], ["1 nodes compute in bfloat16", "1 nodes compute in float16"]),
    ],
)
def test_weights_may_be_held_in_half_precision_and_nothing_computed_in_it(
    nodes: list[tuple[str, str]], said: list[str]
) -> None:
    assert narrower("float32", "f32", nodes) == said


@pytest.mark.backends
def test_the_reference_is_by_openvino_and_the_row_says_so(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    path = saved(tmp_path)
    found = lowered(path, point(path, "x=3x8"), tmp_path)
    program = found.programs["main"]
    assert set(program.artifacts) == {"openvino"}
    assert "which OpenVINO alone can read" in program.failures["stablehlo"]
    assert found.reference_by == (
        "OpenVINO in float32, in its mode for accuracy and on one thread, as no float64 was to be had: "
        "on a CPU it computes in nothing wider"
    )
    assert {each.limit for each in found.tolerances.values()} == {1e-4}
    inputs, reference = load_file(found.pool[0].inputs), load_file(found.pool[0].reference)
    right = np.maximum(inputs["x"] @ WEIGHTS.astype("float16").astype("float32"), 0)
    np.testing.assert_allclose(reference["other"], right, rtol=1e-5, atol=1e-5)


@pytest.mark.backends
def test_openvino_runs_it_and_every_other_backend_says_why_not(tmp_path: Path) -> None:
    others = dict.fromkeys(("eager", "inductor", "onnxruntime", "xla"), "unsupported")
    assert statuses(saved(tmp_path), "--shape", "x=3x8", cwd=tmp_path) == {"openvino": "ok", **others}
