"""Runs from Python: measured, opened again, as frames, compared, reported, gone on with."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import pytest

import steelyard as sy
from steelyard.service import asked, running
from tests.fakes.numpy_work import PATH
from tests.fakes.runs import synthetic_run
from tests.fakes.stored import store
from tests.fakes.traced import PATH as TRACED

SUITE = "tests.fakes.small_suite:SUITE"
SLOW = f"{PATH}[sleep=0.002]"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> sy.Run:
    output = tmp_path_factory.mktemp("runs")
    return sy.run(SUITE, [PATH, SLOW], baseline=PATH, quick=True, window=0.1, threads=1, output=output, progress=False)


def test_a_run_is_stored_as_the_command_line_stores_it(run: sy.Run) -> None:
    assert run.ended == "rounds"
    assert run.data.manifest.command[0].startswith("steelyard.run(suite='tests.fakes.small_suite:SUITE', backends=(")
    found = sy.open(runs=run.path.parent)
    assert (found.id, found.path, found.data.digest) == (run.id, run.path, run.data.digest)
    assert run.id in repr(run)
    done = subprocess.run(
        [sys.executable, "-m", "steelyard", "verify", str(run.path)], capture_output=True, text=True, check=False
    )
    assert "everything was traced" in done.stdout, done.stdout


def test_every_sample_is_a_row_and_says_what_it_is_of(run: sy.Run) -> None:
    frame = run.to_pandas()
    assert len(frame) == sum(len(each.samples) for result in run.data.results for each in result.measurements)
    assert {"backend", "workload", "round", "launch", "metric", "index", "start_s", "value", "steady"} <= {*frame}
    assert (frame.value > 0).all()
    assert not frame[frame["round"] == 0].steady.any(), "no estimate counts the cold round"
    assert frame[frame["round"] > 0].steady.any()
    ours = frame[(frame.backend == SLOW) & (frame.metric == "latency_s")]
    assert ours.value.min() >= 0.002


def test_every_case_of_a_launch_is_a_row_with_its_phases_and_medians(run: sy.Run) -> None:
    frame = run.to_pandas("launches")
    assert len(frame) == len(run.data.results)
    assert (frame.status == "ok").all()
    assert {"import_s", "compile_s", "latency_s", "host_peak_bytes_steady"} <= {*frame}
    warm = frame[frame["round"] > 0]
    assert warm.groupby("backend").latency_s.median()[SLOW] >= 0.002
    with pytest.raises(sy.SteelyardError, match="rows 'calls'"):
        run.to_pandas("calls")  # type: ignore[arg-type]


def test_a_report_is_written_where_it_is_asked_for(run: sy.Run, tmp_path: Path) -> None:
    assert run.report("markdown", tmp_path / "here") == tmp_path / "here"
    assert "sleep=0.002" in (tmp_path / "here" / "report.md").read_text()


def test_a_run_is_gone_on_with(run: sy.Run) -> None:
    more = run.resume(rounds=1, progress=False)
    assert more.id == run.id
    assert len(more.data.segments) == len(run.data.segments) + 1


def opened(tmp_path: Path, seed: int = 1, name: str = "a") -> sy.Run:
    run = synthetic_run(backends=("eager", "xla", "openvino"), rounds=8, seed=seed)
    run = replace(run, manifest=replace(run.manifest, run_id=f"{run.manifest.run_id}{name}"))
    return sy.open(store(run, tmp_path / name))


def test_comparisons_are_those_of_the_run_and_a_frame(tmp_path: Path) -> None:
    run = opened(tmp_path)
    found = run.compare()
    frame = found.to_pandas()
    assert list(frame.verdict) == [item.verdict for item in found]
    told = frame[(frame.candidate == "xla") & (frame.metric == "latency_s")].iloc[0]
    assert told.speedup_low < told.speedup < told.speedup_high
    assert run.summary


def test_against_another_baseline_every_verdict_is_exploratory(tmp_path: Path) -> None:
    run = opened(tmp_path)
    found = run.compare(baseline="xla")
    assert {item.baseline for item in found} == {"xla"}
    assert {item.candidate for item in found} == {"eager", "openvino"}
    with pytest.raises(sy.SteelyardError, match="backend of the run 'tvm'"):
        run.compare(baseline="tvm")


def test_runs_are_compared_with_runs(tmp_path: Path) -> None:
    sides = [[opened(tmp_path, seed, f"{side}{seed}") for seed in range(3)] for side in "ab"]
    found = sy.compare(*sides, factor="version")
    assert found
    with pytest.raises(sy.SteelyardError, match="a side without a run"):
        sy.compare([], sides[0])


def test_ctrl_c_keeps_what_was_measured_and_hands_it_over(
    run: sy.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "run_plan", lambda *_, **__: running.StoredOutcome(run.path, "interrupted"))
    with pytest.raises(KeyboardInterrupt) as raised:
        sy.run(SUITE, PATH, baseline=PATH, output=tmp_path, progress=False)
    assert isinstance(raised.value, sy.Interrupted)
    assert raised.value.run.id == run.id


def test_importing_steelyard_imports_nothing_else() -> None:
    code = "import sys, steelyard; print(sorted(name for name in sys.modules if name.startswith('steelyard')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['steelyard']"
    with pytest.raises(AttributeError, match="no attribute 'runs'"):
        _ = sy.runs  # type: ignore[attr-defined]


def test_an_option_that_there_is_not_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="colour"):
        sy.run(colour="tiny")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"profile\(\) has no option 'rounds'"):
        sy.profile(rounds=3)  # type: ignore[call-arg]


def test_the_options_of_a_run_are_what_a_request_takes() -> None:
    taken = get_type_hints(asked.request_of)
    options = get_type_hints(asked.RunOptions)
    assert {name: taken[name] for name in options} == options
    assert {*taken} - {*options} == {"suite", "backends", "axes", "weights", "return"}


def test_a_profile_is_a_traced_run_that_tells_where_the_time_goes(tmp_path: Path) -> None:
    run = sy.profile("steelyard.selftest.suite:SUITE", TRACED, threads=1, window=0.1, output=tmp_path, progress=False)
    assert run.data.traced
    assert run.data.manifest.command[0].startswith("steelyard.profile(")
    assert run.summary.startswith("Most of the time of")
    with pytest.raises(sy.SteelyardError, match="traced"):
        run.compare()
