"""`--scenario correctness`: one launch of each backend, nothing timed, who is right and why the others are not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.core.run import Run
from steelyard.store import find_run, open_run
from tests.fakes.numpy_work import PATH

ROOT = Path(__file__).parents[2]
SUITE = "tests.fakes.small_suite:SUITE"


def bench(cache: Path, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "steelyard", *arguments]
    env = {**os.environ, "STEELYARD_CACHE": str(cache)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("correctness")
    asked = ("--suite", SUITE, "--backend", PATH, "--backend", f"{PATH}[fault=wrong]", "--scenario", "correctness")
    bench(folder / "cache", "run", *asked, "--output", str(folder / "runs"), "--no-report", code=3)
    return folder


@pytest.fixture(scope="module")
def run(output: Path) -> Run:
    return open_run(find_run(output / "runs", "latest"))


def test_each_backend_is_launched_once_and_nothing_is_timed(run: Run) -> None:
    assert run.untimed
    assert {result.round for result in run.results} == {0}
    assert len({(result.arm, result.case_id) for result in run.results}) == len(run.results)
    assert not any(arm.control for arm in run.manifest.arms)
    assert all(not result.measurements for result in run.results)
    assert {result.status for result in run.results if "wrong" in result.arm} == {"incorrect"}
    assert {result.status for result in run.results if "wrong" not in result.arm} == {"ok"}


def test_what_is_shown_is_who_was_right(output: Path) -> None:
    shown = bench(output / "cache", "show", "latest", "--runs", str(output / "runs"))
    assert "right answers at 0 of" in shown
    assert "incorrect)" in shown
    assert "Pass rates" in shown
    assert "Failures by cause" in shown
    assert "speed-up" not in shown


def test_the_report_has_no_table_of_times_that_nobody_took(output: Path) -> None:
    bench(output / "cache", "report", "latest", "--runs", str(output / "runs"), "--output", str(output / "report"))
    text = (output / "report/report.md").read_text()
    assert text.index("### Pass rates") < text.index("### Start-up")
    assert "### Speed of" not in text
    assert "Speed-up over all workloads" not in text


def test_it_is_kept_as_statuses_and_held_against_itself(output: Path) -> None:
    file = str(output / "statuses.json")
    bench(output / "cache", "coverage", "save", "latest", file, "--runs", str(output / "runs"))
    assert "nothing ended otherwise" in bench(
        output / "cache", "coverage", "diff", file, "latest", "--runs", str(output / "runs")
    )
