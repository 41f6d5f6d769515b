"""`bench repro` on a run of real backends: each script runs where this project cannot be imported."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.core.errors import UsageError
from tests.cli.conftest import BACKENDS

pytestmark = [pytest.mark.backends, pytest.mark.timeout(3600)]

ALONE = """
import runpy, sys
for name in ("steelyard", "safetensors", "transformers", "onnx"):
    sys.modules[name] = None
try:
    runpy.run_path("repro.py", run_name="__main__")
finally:
    print("frameworks:", *(name for name in ("torch", "jax", "onnxruntime", "openvino", "iree") if name in sys.modules))
"""
NEEDS = {
    "eager": "torch", "inductor": "torch", "xla": "jax", "onnxruntime": "onnxruntime", "openvino": "openvino",
    "iree": "iree",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _cache(llm_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", str(llm_runs.parent / "cache"))


def written(llm_runs: Path, folder: Path, *arguments: str) -> None:
    done = CliRunner().invoke(app, ["repro", *arguments, "--runs", str(llm_runs), "--output", str(folder)])
    assert done.exit_code == 0, done.output + str(done.exception)


def alone(folder: Path) -> "subprocess.CompletedProcess[str]":
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "STEELYARD_CACHE")}
    command = [sys.executable, "-c", ALONE]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "backend",
    [pytest.param(name, marks=[pytest.mark.full] if name == "inductor" else []) for name in BACKENDS],
)
def test_a_script_needs_its_runtime_alone_and_its_outputs_are_right(
    llm_runs: Path, tmp_path: Path, backend: str
) -> None:
    """Decode carries a KV cache from call to call, and its token is chosen from logits."""
    _stands_alone(llm_runs, tmp_path / "made", backend)


@pytest.mark.full
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_so_does_one_for_iree(tmp_path: Path, dtype: str) -> None:
    pytest.importorskip("iree.compiler")
    runs = tmp_path / "runs"
    asked = ["run", "--suite", "llm", "--size", "tiny", "--workload", "decode", "--set", f"dtype={dtype}"]
    asked += [
        "--backend",
        "iree",
        "--baseline",
        "iree",
        "--threads",
        "1",
        "--quick",
        "--no-report",
        "--output",
        str(runs),
    ]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output + str(done.exception)
    _stands_alone(runs, tmp_path / "made", "iree")


def _stands_alone(runs: Path, folder: Path, backend: str) -> None:
    written(runs, folder, "decode", "--backend", backend)
    done = alone(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout.splitlines()
    assert sum(line.startswith("right: ") for line in told) >= 4
    assert not any(line.startswith("WRONG") for line in told)
    assert any(line.startswith("here: ") and " ms, the median of " in line for line in told)
    assert f"frameworks: {NEEDS[backend]}" in told
    assert backend in (folder / "README.md").read_text()
    paths = str(Path(__file__).parents[2]).encode(), str(Path.home()).encode() + b"/", b"site-packages"
    for file in folder.iterdir():
        assert not any(path in file.read_bytes() for path in paths), f"{file.name} names a place on this machine"


def test_an_output_that_is_off_ends_the_script_with_an_error(llm_runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    written(llm_runs, folder, "prefill", "--backend", "openvino")
    file = folder / "references.npz"
    with np.load(file, allow_pickle=False) as arrays:
        np.savez(file, **{name: arrays[name] * (1.01 if name == "3.logits" else 1) for name in arrays.files})
    done = alone(folder)
    assert done.returncode == 1, done.stderr
    assert next(line for line in done.stdout.splitlines() if line.startswith("WRONG")).startswith("WRONG: logits")
    assert "right: cache.0.k" in done.stdout


def test_a_folder_that_holds_something_is_left_alone(llm_runs: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    arguments = ["repro", "decode", "--backend", "xla", "--runs", str(llm_runs), "--output", str(tmp_path)]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, UsageError)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_the_cache_has_lost_is_lowered_again(
    llm_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "empty"))
    written(llm_runs, tmp_path / "made", "decode", "--backend", "xla")
    done = alone(tmp_path / "made")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lowered anew" not in (tmp_path / "made" / "README.md").read_text(), "the same bytes come out"
