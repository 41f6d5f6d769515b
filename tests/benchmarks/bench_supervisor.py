"""What the supervisor takes from the machine while a worker measures, and how soon a second run begins.

Run with `make benchmark` on an otherwise idle machine.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steelyard.store import find_run, open_run

ROOT = Path(__file__).parents[2]
CPU_SHARE = 0.02
PEAK_BYTES = 200e6
FIRST_LAUNCH_S = 5.0


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    base = tmp_path_factory.mktemp("supervisor")
    arguments = ["run", "--suite", "llm", "--size", "tiny", "--backend", "onnxruntime", "--baseline", "onnxruntime"]
    arguments += ["--window", "2", "--no-report", "--json", "--output", str(base / "runs")]
    env = {**os.environ, "STEELYARD_CACHE": str(base / "cache")}
    return [sys.executable, "-m", "steelyard", *arguments], env, base / "runs"


def bench_supervisor_share(benchmark, command):
    """The first run of the suite: lowering happens, then rounds of launches."""
    line, env, runs = command
    benchmark.pedantic(
        lambda: subprocess.run([*line, "--rounds", "3"], cwd=ROOT, env=env, check=True, capture_output=True), rounds=1
    )
    (segment,) = open_run(find_run(runs, "latest")).segments
    share, peak = segment.supervisor["cpu_share"].value, segment.supervisor["peak_bytes"].value
    benchmark.extra_info |= {"cpu_share": share, "peak_bytes": peak}
    print(f"\nsupervisor: {share:.2%} of a core (limit {CPU_SHARE:.0%})")
    print(f"supervisor: {peak / 1e6:.0f} MB at most (limit {PEAK_BYTES / 1e6:.0f})")
    assert share <= CPU_SHARE
    assert peak <= PEAK_BYTES


def bench_second_run(benchmark, command):
    """From the plan, which ends the probing of backends, to the first launch, with everything lowered already."""
    line, env, _ = command
    waits = []

    def once():
        process = subprocess.Popen(
            [*line, "--rounds", "1"], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while not process.stderr.readline().startswith("estimate:"):
            pass
        planned = time.perf_counter()
        for event in map(json.loads, process.stdout):
            if event["event"] == "launch":
                waits.append(time.perf_counter() - planned)
                break
        process.communicate()

    once()
    waits.clear()
    benchmark.pedantic(once, rounds=3)
    wait = sorted(waits)[1]
    benchmark.extra_info["first_launch_s"] = wait
    print(f"\nsecond run: first launch {wait:.1f} s after planning (limit {FIRST_LAUNCH_S:g} s)")
    assert wait <= FIRST_LAUNCH_S
