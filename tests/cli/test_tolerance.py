"""An approximation that is meant, in real processes: stated, told wherever the run is told, and gone on with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.core.run import Run
from steelyard.store import find_run, open_run

ROOT = Path(__file__).parents[2]
GELU = "tests.fakes.gelu_suite"
TANH = f"torch_compile:{GELU}:by_tanh"
TOY = "steelyard.selftest.suite:SUITE"
KNOWN = "steelyard.selftest.backends:Known"
OFF = f"{KNOWN}[fault=wrong]"  # by 1 %
FAST = ("--rounds", "1", "--window", "0.03", "--threads", "1", "--no-energy", "--no-report")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tolerance")


def bench(base: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "STEELYARD_CACHE": str(base / "cache")}
    command = [sys.executable, "-m", "steelyard", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == code, done.stderr
    return done


def latest(base: Path, name: str) -> Run:
    return open_run(find_run(base / name, "latest"))


@pytest.fixture(scope="module")
def gelu(base: Path) -> str:
    """What is said of a run of eager and of a compiler that puts the approximation by tanh in."""
    run = ("run", "--suite", f"{GELU}:SUITE", "--backend", f"eager,{TANH}", "--tolerance", "1e-3", *FAST)
    return bench(base, *run, "--output", str(base / "gelu")).stderr


def test_gelu_by_tanh_is_ok_and_marked_in_every_launch(gelu: str, base: Path) -> None:
    run = latest(base, "gelu")
    assert "gelu weights=seeded tolerance=0.001, stated by --tolerance" in gelu
    assert run.manifest.budget.tolerance == 1e-3
    marks = {(result.arm == TANH, result.status, result.approximate.split(":")[0]) for result in run.results}
    assert marks == {(True, "ok", "y"), (False, "ok", "")}
    (text,) = {result.approximate for result in run.results if result.arm == TANH}
    assert text.endswith("exceeds 5e-06, what its dtype allows, and lies within the stated tolerance of 0.001")


def test_it_is_told_wherever_the_run_is_and_everything_is_traced(gelu: str, base: Path) -> None:
    runs = ("--runs", str(base / "gelu"))
    assert "tolerance: 0.001, stated by --tolerance" in bench(base, "show", "latest", *runs).stdout
    rows = {row["arm"]: row for row in json.loads(bench(base, "show", "latest", "--json", *runs).stdout)["rows"]}
    assert rows[TANH]["status"] == "ok"
    assert rows[TANH]["approximate"].startswith("approximate: y: relative error 0.0002")
    assert rows["eager"]["approximate"] is None
    assert rows[TANH]["metrics"]["latency_s"]["comparison"]["approximate"].startswith(f"{TANH}: approximate")
    assert f"{TANH}: approximate: y" in bench(base, "compare", "latest", *runs).stdout
    sql = "select arm, count(*) filter (approximate is not null) n from results group by arm"
    counts = json.loads(bench(base, "store", "query", sql, "--format", "json", *runs).stdout)["rows"]
    assert {arm: count > 0 for arm, count in counts} == {"eager": False, "eager (control)": False, TANH: True}
    bench(base, "verify", "latest", *runs)


@pytest.mark.full
def test_a_run_goes_on_under_its_tolerance_and_no_other_can_be_given(base: Path) -> None:
    run = ("run", "--suite", TOY, "--backend", f"{KNOWN},{OFF}", "--baseline", KNOWN, "--tolerance", "0.02", *FAST)
    output = ("--output", str(base / "toy"))
    bench(base, *run, *output)
    other = bench(base, "run", "--resume", "latest", "--tolerance", "0.5", *output, code=2)
    assert "leave --tolerance out" in other.stderr
    bench(base, "run", "--resume", "latest", "--rounds", "1", "--no-report", *output)
    whole = latest(base, "toy")
    assert [len(segment.rounds) for segment in whole.segments] == [2, 2]
    assert {(result.arm, result.status, bool(result.approximate)) for result in whole.results} == {
        (KNOWN, "ok", False), (f"{KNOWN} (control)", "ok", False), (OFF, "ok", True)
    }  # fmt: skip


@pytest.mark.parametrize("tolerance", ["1", "0"])
def test_what_is_no_tolerance_is_refused_before_anything_starts(tolerance: str, base: Path) -> None:
    run = ("run", "--suite", TOY, "--backend", KNOWN, "--baseline", KNOWN, "--tolerance", tolerance)
    assert f"--tolerance: {tolerance} is no tolerance" in bench(base, *run, code=2).stderr
