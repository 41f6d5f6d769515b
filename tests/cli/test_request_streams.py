"""Several requests at a time through every runtime, in real processes: outputs right, threads shared, no fallback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.store import find_run, open_run

pytestmark = pytest.mark.backends

ROOT = Path(__file__).parents[2]
BACKENDS = [("eager", "onnxruntime", "openvino"), pytest.param(("eager", "inductor", "xla"), marks=pytest.mark.full)]


@pytest.fixture(scope="module", params=BACKENDS, ids=",".join)
def run(request, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("streams")
    asked = [part for backend in request.param for part in ("--backend", backend)]
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


def test_every_runtime_answers_each_request_rightly_and_shares_its_threads(run) -> None:
    points = {case.id: case.point for case in run.manifest.cases}
    assert len({result.arm for result in run.results}) == 3
    for result in run.results:
        assert result.status == "ok", (result.arm, result.reason)
        assert not result.proof.mismatches
        assert result.correctness.calls_checked == points[result.case_id].streams == 3
        if result.arm != "xla":  # its pool belongs to all calls
            assert result.proof.threads == 1


def test_openvino_gets_as_many_streams_but_no_more_than_threads(run) -> None:
    points = {case.id: case.point for case in run.manifest.cases}
    found = {
        points[result.case_id].streams: result.options["NUM_STREAMS"]
        for result in run.results
        if result.arm == "openvino" and result.options
    }
    assert found == ({3: 2} if any(arm.label == "openvino" for arm in run.manifest.arms) else {})


def test_a_run_with_streams_is_gone_on_with(run) -> None:
    from steelyard.artifact.replay import points_here, suite_of

    found = points_here(run.manifest, suite_of("smoke", trust=False), None)
    assert [point.streams for point in found] == [3]


@pytest.mark.full
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
