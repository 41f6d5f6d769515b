"""Code of the user's own is known by its content: a suite, a runner or a pass that was edited is never taken for what
it was before."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from steelyard import plugins
from steelyard.analysis.across import unlike
from steelyard.analysis.factor import find_factor
from steelyard.core.run import Run
from steelyard.core.workload import Identity, Selection
from steelyard.engine.lower import lower_points
from steelyard.store import find_run, open_run

ROOT = Path(__file__).parents[2]
SUITE = """
import dataclasses

import body
from tests.fakes.small_suite import SUITE as SMALL, points as small, make, write


def build(*, in_place):
    return body.Product()


def points(selection):
    (point,) = small(dataclasses.replace(selection, workloads=("wide",)))
    program = dataclasses.replace(point.programs["main"], source="mine:build")
    return (dataclasses.replace(point, programs={"main": program}),)


SUITE = dataclasses.replace(SMALL, points=points)
"""
BODY = """
import torch


class Product(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.empty(8, 8, device="meta"))

    def forward(self, x):
        return (torch.nn.functional.gelu(x @ self.w),)
"""
RUNNER = """
from tests.fakes.numpy_work import NumpyRunner


class Mine(NumpyRunner):
    pass
"""
FAST = ("--rounds", "1", "--window", "0.03", "--no-report", "--no-energy")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(SUITE)
    (tmp_path / "body.py").write_text(BODY)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "runner.py").write_text(RUNNER)
    return tmp_path


@pytest.fixture
def bench(place: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def call(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command(*arguments), cwd=place, env=environment(place), capture_output=True, text=True, timeout=300
        )
        assert done.returncode == code, done.stderr
        return done

    return call


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "steelyard", *arguments]


def environment(place: Path) -> dict[str, str]:
    return {**os.environ, "STEELYARD_CACHE": str(place / "cache"), "PYTHONPATH": str(ROOT)}


def latest(place: Path) -> Run:
    return open_run(find_run(place / "bench-results", "latest"))


@pytest.mark.full
@pytest.mark.backends
def test_a_suite_that_was_edited_is_lowered_anew_and_is_other_work(
    place: Path, bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(place)
    for name, value in environment(place).items():
        monkeypatch.setenv(name, value)
    points = plugins.suite("mine:SUITE").points(Selection(device_kind="cpu"))
    for name in ("mine", "body"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def lowered() -> tuple[Identity, str]:
        found, failed = lower_points(points, ["onnx"], weights_dir=None, device_kind="cpu", say=lambda text: None)
        assert not failed
        (point,) = found.values()
        assert set(point.code) >= {"mine", "body"}
        return point.identity, point.programs["main"].artifacts["onnx"].sha256

    before = lowered()
    more_work = BODY.replace("        return", "        x = x + 0 * x\n        return")
    (place / "body.py").write_text(more_work)
    after = lowered()
    assert after[1] != before[1]
    assert unlike([before[0], after[0]]) == "the identity differs in code"

    (place / "body.py").write_text(BODY.replace("gelu", "relu"))
    bench("run", "--suite", "mine:SUITE", "--backend", "onnxruntime", *FAST)
    run = latest(place)
    assert Counter(result.status for result in run.results) == {"ok": 6}, {each.reason for each in run.results}
    (facts,) = run.manifest.lowered.values()
    assert unlike([before[0], facts.identity]) == "the identity differs in reference and code"


def test_a_runner_that_is_edited_is_neither_pooled_with_what_it_was_nor_taken_for_it(place: Path, bench) -> None:
    label = "own.runner:Mine"
    small = ["--suite", "tests.fakes.small_suite:SUITE", "--baseline", "tests.fakes.numpy_work:NumpyRunner"]
    arguments = ["run", *small, "--workload", "wide", "--backend", label, *FAST]
    process = subprocess.Popen(
        command(*arguments, "--rounds", "3", "--json"),
        cwd=place, env=environment(place), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if (event["event"], event.get("arm"), event.get("round")) == ("launch_end", label, 1):
            (place / "own" / "runner.py").write_text(RUNNER.replace("    pass", "    slower = True"))
            break
    process.communicate(timeout=120)
    assert process.returncode == 3
    before = latest(place)
    found = {(result.arm, result.round): result for result in before.results}
    mine = {number: result for (arm, number), result in found.items() if arm == label}
    assert {number: result.status for number, result in mine.items()} == {0: "ok", 1: "ok", 2: "failed", 3: "failed"}
    assert mine[3].reason == (
        "the code of own.runner has changed since the run began: start a new run to measure what it is now"
    )
    assert {result.status for (arm, _), result in found.items() if arm != label} == {"ok"}
    code = before.manifest.code[label]
    assert "own.runner" in code
    assert {mine[number].proof.versions["own.runner"] for number in (0, 1)} == {code["own.runner"][:12]}

    refused = bench("run", "--resume", "latest", "--no-report", code=2)
    assert f"code of backend.{label}.own.runner: " in refused.stderr
    bench(*arguments)
    factor = find_factor([before], [latest(place)])
    assert (factor.name, factor.others) == ("version", ())
