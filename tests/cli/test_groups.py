"""`bench run` where memory does not hold all launches of a round: groups, from the run to its report, and resumed."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from steelyard.analysis import compare_run
from steelyard.core.run import Run
from steelyard.store import find_run, open_run
from tests.fakes.numpy_work import PATH

ROOT = Path(__file__).parents[2]
SLOW = f"{PATH}[sleep=0.001]"
_BENCH = """
import sys
from functools import partial
from pathlib import Path
from steelyard.cli.main import main
from steelyard.engine.room import Free
from steelyard.service import running
from steelyard.store import find_run, open_run

def free(device):
    'Room for the baseline and one more launch, by the cold round that is stored so far.'
    run = open_run(find_run(Path(sys.argv[sys.argv.index("--output") + 1]), "latest"))
    peaks = [each.value or 0.0 for result in run.results if result.round == 0 for each in result.memory.values()]
    return Free(host_bytes=2.5 * max(peaks) / 0.9)

running.Session = partial(running.Session, free=free)
main()
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory):
    """`bench run` that is told of so much free memory, with an output of its own; `bench` with other verbs."""
    folder = tmp_path_factory.mktemp("groups")

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        own = ["-c", _BENCH] if arguments[0] == "run" else ["-m", "steelyard"]
        place = "--output" if arguments[0] == "run" else "--runs"
        done = subprocess.run(
            [sys.executable, *own, *arguments, place, str(folder / "runs")],
            cwd=ROOT,
            env={**os.environ, "STEELYARD_CACHE": str(folder / "cache")},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done

    call.runs = folder / "runs"  # type: ignore[attr-defined]
    return call


def run_of(bench) -> Run:
    return open_run(find_run(bench.runs, "latest"))


def test_a_run_in_groups_is_measured_shown_reported_verified_and_resumed(bench, tmp_path: Path) -> None:
    asked = ("--suite", "tests.fakes.small_suite:SUITE", "--baseline", PATH, "--backend", SLOW, "--workload", "wide")
    told = bench("run", *asked, "--rounds", "1", "--window", "0.03", "--no-report").stderr
    assert f"in groups with a launch of {PATH} each, or one after the other" in told
    assert "the launches of a round take turns in 2 groups: together they need" in told
    assert f"each group has its own launch of {PATH}: {SLOW}; {PATH} (control)" in told
    bench("run", "--resume", "latest", "--rounds", "2", "--no-report")
    run = run_of(bench)
    assert [segment.rounds for segment in run.segments] == [(0, 1), (0, 2, 3)]
    assert [segment.turns for segment in run.segments] == ["on", "on"]
    assert all("each group has its own launch" in segment.groups for segment in run.segments)
    warm = Counter((result.arm, result.group, result.round) for result in run.results if result.round > 0)
    assert warm == {
        (arm, group, number): 1
        for arm, group in ((PATH, 0), (SLOW, 0), (PATH, 1), (f"{PATH} (control)", 1))
        for number in (1, 2, 3)
    }
    assert {each.candidate: each.ratio.n for each in compare_run(run) if each.ratio} == {
        SLOW: 3,
        f"{PATH} (control)": 3,
    }

    shown = json.loads(bench("show", "latest", "--json").stdout)
    assert "each group has its own launch" in shown["segments"][0]["groups"]
    assert "in turns in 2 groups: together they need" in " ".join(bench("show", "latest").stdout.split())
    bench("report", "latest", "--format", "markdown", "--output", str(tmp_path / "report"))
    report = (tmp_path / "report" / "report.md").read_text()
    assert "in turns in 2 groups" in report
    assert "Memory did not hold all launches of a round at once" in report
    bench("verify", str(find_run(bench.runs, "latest")))
    rows = bench("store", "query", "select count(*) as n from launches where round > 0 and group_index = 1").stdout
    assert "6" in rows
