"""Unequal threads, as unfair comparisons have them: within a run they cannot be had, across runs they are refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.store import find_run, open_run

ROOT = Path(__file__).parents[2]
SUITE = "tests.fakes.small_suite:SUITE"
pytestmark = pytest.mark.backends


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One backend with one thread, the other with two, as unequal peers run them; and the command to look at both."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs")
    base = tmp_path_factory.mktemp("fairness")
    environment = {**os.environ, "STEELYARD_CACHE": str(base / "cache")}

    def bench(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "steelyard", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == code, done.stderr
        return done

    fast = ("--suite", SUITE, "--workload", "wide", "--rounds", "1", "--window", "0.03", "--no-report")
    for backend, threads in (("onnxruntime", "1"), ("openvino", "2")):
        chosen = ("--backend", backend, "--baseline", backend, "--threads", threads)
        bench("run", *fast, *chosen, "--output", str(base / backend))
    paths = {name: find_run(base / name, "latest") for name in ("onnxruntime", "openvino")}
    return bench, paths


def test_each_backend_had_the_threads_of_its_budget_and_the_run_says_so(runs):
    _, paths = runs
    for name, threads in (("onnxruntime", 1), ("openvino", 2)):
        run = open_run(paths[name])
        assert {result.proof.threads for result in run.results} == {threads}
        assert {len(result.proof.budget["cpus"]) for result in run.results} == {threads}
        assert {row.tuning for row in run.manifest.tunings} == {"default", "max"}
        assert all(row.formats for row in run.manifest.tunings)


def test_no_verdict_between_unequal_threads(runs):
    bench, paths = runs
    pair = (str(paths["onnxruntime"]), str(paths["openvino"]))
    refused = bench("compare", *pair, code=2)
    assert "differ in more than one thing" in refused.stderr or "no pair of backends" in refused.stderr
    assert "threads" in refused.stderr
    data = json.loads(bench("compare", *pair, "--factor", "backend", "--json").stdout)
    assert data["comparisons"]
    for comparison in data["comparisons"]:
        assert comparison["verdict"] == "incomparable"
        assert "threads: 1 -> 2" in comparison["reason"]


def test_a_run_has_one_thread_count_for_all(runs):
    bench, _ = runs
    refused = bench("run", "--suite", SUITE, "--backend", "onnxruntime[threads=2]", "--dry-run", code=2)
    assert "unknown option of backend 'onnxruntime' 'threads'" in refused.stderr
