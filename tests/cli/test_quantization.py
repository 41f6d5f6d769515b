"""Quantized backends in real processes: run, checked, proved, marked, and beside themselves without quantization."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.store import find_run, open_run
from steelyard.tables.build import build

pytestmark = pytest.mark.backends
pytest.importorskip("nncf")
pytest.importorskip("torchao")

ROOT = Path(__file__).parents[2]
STATIC = ("onnxruntime[int8]", "openvino[int8]", "inductor[int8]")
WEIGHTS = ("onnxruntime[int8_weights]", "openvino[int8_weights]")


def bench(cache: Path, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "steelyard", *arguments]
    env = {**os.environ, "STEELYARD_CACHE": str(cache)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


TIMED = ("--rounds", "1", "--window", "0.05", "--no-energy")
UNTIMED = ("--scenario", "correctness")


def run(folder: Path, name: str, workload: str, how: tuple[str, ...], *backends: str):
    asked = [part for backend in backends for part in ("--backend", backend)]
    more = (*how, "--no-report", "--output", str(folder / name))
    told = bench(folder / "cache", "run", "--suite", "smoke", "--workload", workload, *asked, *more)
    return open_run(find_run(folder / name, "latest")), told


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quantization")


@pytest.fixture(scope="module")
def convolutions(folder: Path):
    return run(folder, "convolutions", "convolutions", UNTIMED, "eager", "onnxruntime", "openvino", *STATIC)


def test_each_runtime_computes_convolutions_in_eight_bits_and_is_marked_approximate(convolutions) -> None:
    found, told = convolutions
    by_arm = {result.arm: result for result in found.results}
    for arm in STATIC:
        assert by_arm[arm].status == "ok", by_arm[arm].reason
        assert "logits" in by_arm[arm].approximate
        assert not by_arm[arm].proof.mismatches
        assert "tolerance=0.2, stated by the quantization int8" in told
    assert not by_arm["onnxruntime"].approximate
    table = build(found).table("quantization")
    errors = [table.cell(row, "error").value for row in table.rows]
    assert all(1e-4 < error < 0.2 for error in errors), errors
    assert all(table.cell(row, "smaller").value > 2.5 for row in table.rows)


@pytest.mark.full
def test_a_timed_run_of_a_quantized_backend_is_verified_and_reported(convolutions, folder: Path) -> None:
    run(folder, "timed", "convolutions", TIMED, "eager", "onnxruntime", STATIC[0])
    runs = ("--runs", str(folder / "timed"))
    bench(folder / "cache", "verify", "latest", *runs)
    bench(folder / "cache", "report", "latest", *runs, "--output", str(folder / "report"))
    text = (folder / "report/report.md").read_text()
    assert "### Quantization" in text
    assert "layer by layer" in text


@pytest.mark.full
def test_a_decoder_with_weights_in_eight_bits_answers_with_a_share_of_the_same_tokens(folder: Path) -> None:
    found, _ = run(folder, "decoder", "generation", UNTIMED, "eager", *WEIGHTS)
    quantized = [result for result in found.results if result.arm in WEIGHTS]
    assert len(quantized) == len(WEIGHTS)
    for result in quantized:
        assert result.status == "ok", result.reason
        assert 0 <= result.details.driver["token_agreement"] <= 1


def test_an_operator_set_is_not_quantized(folder: Path) -> None:
    asked = ("--backend", "onnxruntime[opset=20,int8]")
    told = bench(folder / "cache", "run", "--suite", "smoke", *asked, "--output", str(folder / "none"), code=2)
    assert "not one of its operator sets" in told
