"""Several requests at a time through every runtime, in real processes: outputs right, threads shared, no fallback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.store import find_run, open_run

pytestmark = [pytest.mark.backends, pytest.mark.full]

ROOT = Path(__file__).parents[2]
BACKENDS = ("eager", "inductor", "xla", "onnxruntime", "openvino")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("streams")
    asked = [part for backend in BACKENDS for part in ("--backend", backend)]
    more = ("--set", "streams=3", "--scenario", "correctness", "--no-report", "--threads", "2")
    command = [
        sys.executable,
        "-m",
        "steelyard",
        "run",
        "--suite",
        "smoke",
        "--workload",
        "convolutions",
        *asked,
        *more,
    ]
    env = {**os.environ, "STEELYARD_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [*command, "--output", str(folder)], cwd=ROOT, env=env, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return open_run(find_run(folder, "latest"))


@pytest.mark.parametrize("arm", BACKENDS)
def test_every_runtime_answers_each_request_rightly_and_shares_its_threads(run, arm: str) -> None:
    points = {case.id: case.point for case in run.manifest.cases}
    for result in run.results:
        if result.arm != arm:
            continue
        assert result.status == "ok", result.reason
        assert not result.proof.mismatches
        assert result.correctness.calls_checked == points[result.case_id].streams == 3
        if arm in ("eager", "inductor", "onnxruntime", "openvino"):
            assert result.proof.threads == 1


def test_openvino_gets_as_many_streams_but_no_more_than_threads(run) -> None:
    points = {case.id: case.point for case in run.manifest.cases}
    found = {
        points[result.case_id].streams: result.options["NUM_STREAMS"]
        for result in run.results
        if result.arm == "openvino" and result.options
    }
    assert found == {3: 2}


def test_a_run_with_streams_is_gone_on_with(run) -> None:
    from steelyard.artifact.replay import points_here, suite_of

    found = points_here(run.manifest, suite_of("smoke", trust=False), None)
    assert [point.streams for point in found] == [3]


def test_a_window_has_calls_of_all_requests_and_what_is_far_beyond_the_bound_has_none(tmp_path: Path) -> None:
    asked = ("--suite", "smoke", "--workload", "convolutions", "--set", "streams=2", "--backend", "onnxruntime")
    fast = ("--baseline", "onnxruntime", "--rounds", "1", "--window", "0.05", "--no-energy", "--no-report")
    env = {**os.environ, "STEELYARD_CACHE": str(tmp_path / "cache")}
    for bound, launched in (("1us", False), ("10s", True)):
        command = [sys.executable, "-m", "steelyard", "run", *asked, *fast, "--latency-bound", bound]
        folder = tmp_path / bound
        done = subprocess.run(
            [*command, "--output", str(folder)], cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found = open_run(find_run(folder, "latest"))
        calls = [len(result.measurement("latency_s").samples) for result in found.results if result.measurements]
        assert bool(calls) == launched
        assert all(count >= 10 for count in calls)
        assert {result.status for result in found.results} == {"ok"}
