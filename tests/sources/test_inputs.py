"""Arrays of the user's own as inputs, in place of random ones."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.core.errors import CheckpointError, UsageError
from steelyard.core.workload import Program, TensorSpec, Weights
from steelyard.lowering.own import inputs
from tests.sources.own import lowered, point

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402

PROGRAM = Program(
    name="net",
    source="a:b",
    arguments={"between": {"ids": [3, 9]}},
    weights=Weights(source="a:b", arguments={}, origin="checkpoint"),
    dtype="float32",
    inputs=(
        TensorSpec(name="ids", shape=(2, 3), dtype="int64"),
        TensorSpec(name="x", shape=(4,), dtype="float32"),
        TensorSpec(name="scale", shape=(), dtype="bfloat16"),
    ),
    outputs=(),
)
IDS, X, SCALE = np.arange(6).reshape(2, 3), np.arange(4, dtype="float32"), np.float32(2)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))


def saved(folder: Path, **arrays: Any) -> Path:
    path = folder / "given.npz"
    np.savez(path, **arrays)
    return path


def test_random_ones_are_seeded_and_keep_within_bounds() -> None:
    found = inputs.seeded(PROGRAM, 1)
    assert {name: array.shape for name, array in found.items()} == {"ids": (2, 3), "x": (4,), "scale": ()}
    again = inputs.seeded(PROGRAM, 1)
    assert all(np.array_equal(found[name], again[name]) for name in found)
    assert not np.array_equal(found["x"], inputs.seeded(PROGRAM, 2)["x"])
    drawn = np.concatenate([inputs.seeded(PROGRAM, index)["ids"] for index in range(20)])
    assert (drawn.min(), drawn.max()) == (3, 9)


@pytest.mark.parametrize("count", [None, 3])
def test_arrays_are_one_set_or_several(tmp_path: Path, count: int | None) -> None:
    given = {"ids": IDS, "x": X, "scale": SCALE}
    if count:
        given = {name: np.stack([array + index for index in range(count)]) for name, array in given.items()}
    path = saved(tmp_path, **given)
    inputs.keep(str(path), PROGRAM)
    path.unlink()
    digest = next((tmp_path / "cache/points").iterdir()).name.removeprefix("inputs-")
    found = inputs._arrays(inputs._kept(inputs.Cache(tmp_path / "cache"), digest), PROGRAM)
    assert len(found) == (count or 1)
    for index, one in enumerate(found):
        assert np.array_equal(one["ids"], IDS + index)
        assert one["scale"].shape == ()
    inputs.keep(digest, PROGRAM)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"ids": IDS, "x": X}, r"no array 'scale', which net takes as bfloat16\[\]; the file has ids, x"),
        ({"ids": IDS, "x": X, "scale": SCALE, "y": X}, "unknown input of net 'y'|input of net"),
        ({"ids": IDS.T, "x": X, "scale": SCALE}, r"array 'ids' is int64\[3, 2\], not int64\[2, 3\]"),
        ({"ids": IDS.astype("int32"), "x": X, "scale": SCALE}, r"array 'ids' is int32\[2, 3\], not int64\[2, 3\]"),
        ({"ids": IDS, "x": X.astype(object), "scale": SCALE}, r"array 'x' is object\[4\], not float32\[4\]"),
        ({"ids": IDS[None], "x": np.stack([X, X]), "scale": SCALE}, "the same number of sets, .*ids 1, x 2, scale no"),
        ({"ids": IDS[None][:0], "x": X, "scale": SCALE}, r"array 'ids' is int64\[0, 2, 3\]"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        inputs.keep(str(saved(tmp_path, **arrays)), PROGRAM)


def test_files_that_are_none_are_told(tmp_path: Path) -> None:
    path = saved(tmp_path, ids=IDS, x=X, scale=SCALE)
    whole = path.read_bytes()
    with pytest.raises(UsageError, match="there is no such file"):
        inputs.digest_of(str(tmp_path / "absent.npz"))
    path.write_bytes(whole[:200])
    with pytest.raises(UsageError, match=r"write it with numpy\.savez"):
        inputs.digest_of(str(path))
    np.save(tmp_path / "one.npy", X)
    with pytest.raises(UsageError, match=r"write it with numpy\.savez"):
        inputs.digest_of(str(tmp_path / "one.npy"))
    with pytest.raises(CheckpointError, match="start a new run with --inputs FILE"):
        inputs.keep("0" * 24, PROGRAM)


def test_an_array_that_claims_to_be_larger_than_its_bytes_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, ids=IDS, x=X, scale=SCALE)
    cut = tmp_path / "cut.npz"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(cut, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data[:-8] if name == "x.npy" else data)
    with pytest.raises(UsageError, match=r"not a readable \.npz file"):
        inputs.keep(str(cut), PROGRAM)


def doubling(folder: Path) -> Path:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Sqrt", ["x"], ["y"])], "net", value[:1], value[1:])
    path = folder / "net.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString()
    )
    return path


def test_what_is_measured_on_is_part_of_the_identity(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("torch")
    model = doubling(tmp_path)
    with pytest.raises(AssertionError, match=r"holds NaN for input set 0.*give inputs that the model is made for"):
        lowered(model, point(model), tmp_path, formats=())
    one = point(model, inputs=saved(tmp_path, x=np.array([4, 9], "float32")))
    other = point(model, inputs=saved(tmp_path, x=np.array([[4, 9], [16, 25]], "float32")))
    assert one.key != other.key
    assert one.axes["inputs"] == one.settings["inputs"]
    found = lowered(model, other, tmp_path, formats=())
    from safetensors.numpy import load_file

    assert [load_file(entry.reference)["y"].tolist() for entry in found.pool] == [[2, 3], [4, 5]]
    assert found.identity.inputs != lowered(model, one, tmp_path, formats=()).identity.inputs


@pytest.mark.backends
def test_a_run_is_gone_on_with_without_the_file(tmp_path: Path) -> None:
    model, path = doubling(tmp_path), saved(tmp_path, x=np.array([4, 9], "float32"))
    command = [sys.executable, "-m", "steelyard"]
    short = ["--backend", "onnxruntime", "--quick", "--rounds", "1", "--window", "0.05", "--threads", "1", "--wait"]
    run = [*command, "run", "--model", str(model), "--inputs", str(path), "--no-report", *short]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    path.unlink()
    more = [*command, "run", "--resume", "latest", "--model", str(model), "--rounds", "1", "--no-report", "--wait"]
    done = subprocess.run(more, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (manifest,) = (tmp_path / "bench-results").glob("*/manifest.json")
    assert str(tmp_path) not in json.dumps(json.loads(manifest.read_text()))
