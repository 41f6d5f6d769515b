"""A background load that starts in the middle of a real run: noticed, marked, said, and made good by another round."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.analysis import launch_medians, set_aside
from steelyard.analysis.left_out import left_out
from steelyard.guard.contamination import CPUS_DURING, SHARE_OF_ALL
from steelyard.store import find_run, open_run
from tests.fakes.numpy_work import PATH

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]
ROUNDS, TOUCHED = 4, 2


@pytest.fixture
def background_load():
    """Starts a process that spins on a CPU, once; ends it with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(cpu: int) -> subprocess.Popen[bytes]:
        code = f"import os\nos.sched_setaffinity(0, {{{cpu}}})\nprint(flush=True)\nwhile True: pass"
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        started.append(child)
        child.stdout.readline()
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def test_a_load_in_the_second_round_costs_that_round_and_another_is_appended(tmp_path, background_load):
    cpu = min(os.sched_getaffinity(0))
    arguments = ["run", "--suite", "tests.fakes.small_suite:SUITE", "--workload", "wide", "--baseline", PATH]
    arguments += ["--backend", PATH, "--cpus", str(cpu), "--rounds", str(ROUNDS), "--window", "0.05"]
    arguments += ["--output", str(tmp_path / "runs"), "--no-report", "--json"]
    env = {**os.environ, "STEELYARD_CACHE": str(tmp_path / "cache")}
    notes, beside, number = [], None, None
    with subprocess.Popen(
        [sys.executable, "-m", "steelyard", *arguments],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for event in map(json.loads, process.stdout):
            if event["event"] == "note":
                notes.append(event["text"])
            elif event["event"] == "stage" and beside is None and number == TOUCHED:
                beside = background_load(cpu)  # a launch of this round is under way
            elif event["event"] == "round":
                number = event["round"]
                if beside is not None:
                    beside.kill()
        assert process.wait() == 0, process.stderr.read()
    run = open_run(find_run(tmp_path / "runs", "latest"))
    (segment,) = run.segments
    # Other work on this machine may have contaminated further rounds; then the one that may be appended is still one.
    assert TOUCHED in segment.disturbed
    assert "other processes used" in segment.disturbed[TOUCHED]
    assert segment.rounds == tuple(range(ROUNDS + 2))
    assert any(text.startswith(f"round {TOUCHED} was contaminated; ") for text in notes)
    assert any(text.startswith("contaminated rounds, kept in the data: ") for text in notes)
    during = [record.noise["during/foreign_cpu_share"].value for record in run.launches if record.round == TOUCHED]
    assert max(during) > CPUS_DURING + SHARE_OF_ALL
    assert len([result for result in run.results if result.round == TOUCHED]) == 2, "kept in the data"
    (aside,) = set_aside(run).values()
    out = left_out(run)  # the round, and any launch from which the host took time meanwhile
    for (arm, key, _), medians in launch_medians(run).items():
        assert out[arm, key].rounds >= set(aside)
        assert {place.round for place in medians} == set(segment.rounds) - {0} - out[arm, key].rounds
    shown = subprocess.run(
        [sys.executable, "-m", "steelyard", "show", "latest", "--runs", str(tmp_path / "runs")],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    # Where most rounds were contaminated none is left out.
    outcome = "and its times are left out" if TOUCHED in aside else "as most were: its times are shown"
    assert f"round {TOUCHED} was contaminated, {outcome}" in " ".join(shown.stdout.split())
