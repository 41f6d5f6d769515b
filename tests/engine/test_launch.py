"""Real workers that end in every way: each end is the right row, and the neighbours' rows stay whole."""

import errno
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.errors import SteelyardError
from steelyard.engine.launch import LaunchOutcome, run_launch
from steelyard.engine.listener import believed
from steelyard.engine.plan import DEFAULT_TIMEOUTS
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from tests.fakes.numpy_work import PATH, lowered_point
from tests.fakes.runs import synthetic_run

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # so that the worker finds tests.fakes through its working directory


def launch(
    tmp_path: Path,
    backend: str,
    *,
    cases: int = 1,
    alike: bool = False,
    steady: bool = True,
    timeouts=DEFAULT_TIMEOUTS,
    seconds: float = 0.05,
    cap_s: float = 1.0,
) -> LaunchOutcome:
    seeds = [0 if alike else index for index in range(cases)]
    points = [lowered_point(tmp_path / f"p{seed}", name=f"affine{seed}", seed=seed) for seed in seeds]
    request = LaunchRequest(
        launch=f"run-{os.getpid()}/0001",
        arm=backend,
        round=1,
        position=0,
        backend=parse_backend(backend),
        device=Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
        budget=Budget(threads=1, cpus=(min(os.sched_getaffinity(0)),)),
        compile_cache=str(tmp_path / "cache"),
        scratch=str(tmp_path / "scratch"),
        seed=3,
        steady=steady,
        cases=tuple(
            CaseRequest(
                case_id=f"case{index}",
                lowered=point,
                pace=Pace(seconds=seconds, minimum=10, maximum=5000, cap_s=cap_s),
            )
            for index, point in enumerate(points)
        ),
    )
    return run_launch(request, origin_s=time.monotonic(), timeouts=timeouts)


def test_a_good_launch_gives_samples_in_time_order_phases_memory_and_proof(tmp_path: Path) -> None:
    outcome = launch(tmp_path, PATH, cases=2)
    assert [result.status for result in outcome.results] == ["ok", "ok"]
    first, second = outcome.results
    latency = first.measurement("latency_s")
    assert latency is not None
    assert len(latency.samples) >= 10
    assert list(latency.starts_s) == sorted(latency.starts_s)
    assert all(0 < value < 0.1 for value in latency.samples)
    assert latency.starts_s[-1] + latency.samples[-1] <= first.details.window_s < 2
    assert {"import_s", "load_s", "compile_s", "first_run_s", "second_run_s"} <= set(first.phases)
    assert first.first_in_launch
    assert not second.first_in_launch
    assert "import_s" not in second.phases
    assert first.memory["host_peak_bytes/steady"].value > 1e6
    assert first.proof is not None
    assert first.proof.runtime == "numpy"
    assert first.correctness is not None
    assert first.correctness.passed
    assert first.correctness.calls_checked >= 2
    assert outcome.record.exit_code == 0
    assert 0 <= outcome.record.supervisor_cpu_s < 1


def test_a_cold_launch_has_no_timed_window(tmp_path: Path) -> None:
    (result,) = launch(tmp_path, PATH, steady=False).results
    assert result.status == "ok"
    assert result.measurements == ()
    assert result.phases["compile_s"] >= 0
    assert result.energy is not None
    assert result.energy.value is None, "what was not measured is absent, not 0"
    assert result.energy.reason


@pytest.mark.parametrize(("steady", "runs"), [(True, {"first_run_s"}), (False, {"first_run_s", "second_run_s"})])
def test_programs_that_have_run_before_are_run_once_before_a_window(tmp_path: Path, steady: bool, runs: set) -> None:
    first, second = launch(tmp_path, PATH, cases=2, alike=True, steady=steady).results
    assert (first.status, second.status) == ("ok", "ok")
    assert {"compile_s", "second_run_s"} <= set(first.phases)
    assert set(second.phases) == runs, "of the second run of a cold launch the pace of the warm ones is planned"


def test_the_worker_is_held_to_the_budgets_cpus(tmp_path: Path) -> None:
    (result,) = launch(tmp_path, PATH, steady=False).results
    assert result.options["cpus"] == [min(os.sched_getaffinity(0))]


def test_samples_stand_in_time_order_so_that_a_pattern_in_time_is_seen(tmp_path: Path) -> None:
    (result,) = launch(tmp_path, f"{PATH}[fault=alternate]", seconds=0.2, cap_s=2.0).results
    latency = result.measurement("latency_s")
    assert latency is not None
    assert list(latency.samples) != sorted(latency.samples)
    slow = [index for index, sample in enumerate(latency.samples) if sample > 0.0038]
    assert max(slow) - min(slow) >= 16, "slow calls come in more than one stretch"


def test_a_long_warm_up_is_cut_where_it_ends(tmp_path: Path) -> None:
    for attempt in range(5):  # a background load can make the rest look unsteady; then nothing is cut
        work = tmp_path / str(attempt)
        work.mkdir()
        (result,) = launch(work, f"{PATH}[fault=warm up]", seconds=1.0, cap_s=4.0).results
        latency = result.measurement("latency_s")
        assert latency is not None
        if latency.steady == "warmed":
            assert 36 <= latency.cut <= 240, "40 slow calls in the window, and a batch or two more"
            break
        assert latency.steady in ("slowed", "cyclic", "none")


@pytest.mark.parametrize(
    ("fault", "status", "stage", "reason"),
    [
        ("killed", "crashed", "first_run", "SIGKILL"),
        ("signalled", "crashed", "first_run", "killed by signal 40 in stage"),
        ("exit", "crashed", "first_run", "code 7"),
        ("raise", "failed", "first_run", "RuntimeError: <boom> & more"),
        ("import", "failed", "import", "no such runtime"),
        ("compile", "failed", "compile", "cannot compile this"),
        ("memory", "out_of_memory", "load", "want more"),
        ("bad_alloc", "out_of_memory", "first_run", "killed by SIGABRT"),
        ("unsupported", "unsupported", "load", "not for us"),
        ("odd memory", "failed", "check", "unknown quantity of memory told by the runner 'vram_bytes'"),
        ("wrong", "incorrect", "check", "relative error 0.01"),
        ("late wrong", "incorrect", "check", "relative error"),
        ("zeros", "incorrect", "check", "all zeros"),
        ("constant", "incorrect", "check", "a constant"),
        ("nan", "incorrect", "check", "NaN"),
        ("shape", "incorrect", "check", "shape (2, 8) instead of (4, 8)"),
        ("cached", "incorrect", "check", "does not depend on the input"),
        ("fallback", "fallback", "check", "ran in bfloat16, not float32"),
        ("raised fallback", "fallback", "check", "ran somewhere else"),
        ("recompile", "fallback", "check", "compilations moved by"),
    ],
)
def test_every_way_to_fail_is_its_own_row(tmp_path: Path, fault: str, status: str, stage: str, reason: str) -> None:
    (result,) = launch(tmp_path, f"{PATH}[fault={fault}]").results
    assert (result.status, result.stage) == (status, stage)
    assert reason in result.reason


def test_the_proof_counts_what_was_compiled_inside_the_window(tmp_path: Path) -> None:
    (result,) = launch(tmp_path, f"{PATH}[fault=recompile]").results
    assert result.proof is not None
    assert result.proof.recompiles, "it is told as a mismatch, and must not count as none"
    assert f"compilations moved by {result.proof.recompiles} inside" in result.reason


def test_a_launch_that_finds_no_place_for_its_files_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("in the way")
    with pytest.raises(SteelyardError, match="free some space, or set TMPDIR to another disk"):
        launch(tmp_path, PATH)


def test_a_launch_that_cannot_be_started_says_why_and_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    held = len(os.listdir("/proc/self/fd"))
    with pytest.raises(
        SteelyardError, match=r"cannot be started: Resource temporarily unavailable; .* --resume goes on"
    ):
        launch(tmp_path, PATH)
    assert len(os.listdir("/proc/self/fd")) == held


def test_a_hanging_stage_is_ended_at_its_time_out(tmp_path: Path) -> None:
    begun = time.monotonic()
    outcome = launch(tmp_path, f"{PATH}[fault=hang]", cases=2, timeouts={**DEFAULT_TIMEOUTS, "first_run": 0.5})
    assert time.monotonic() - begun < 30
    assert [(result.status, result.stage) for result in outcome.results] == [
        ("timed_out", "first_run"),
        ("skipped", "first_run"),
    ]
    assert outcome.record.exit_code == -9


def test_a_crash_keeps_the_log_and_names_what_it_took_along(tmp_path: Path) -> None:
    outcome = launch(tmp_path, f"{PATH}[fault=killed]", cases=2)
    assert [result.status for result in outcome.results] == ["crashed", "skipped"]
    assert "before this one" in outcome.results[1].reason


def test_children_that_a_launch_leaves_behind_are_ended(tmp_path: Path) -> None:
    def sleepers() -> int:
        count = 0
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                count += b"time.sleep(600)" in entry.read_bytes()
            except OSError:
                continue  # it ended while we looked
        return count

    before = sleepers()
    assert launch(tmp_path, f"{PATH}[fault=child]").results[0].status == "ok"
    assert sleepers() == before


def test_a_worker_that_had_to_be_ended_was_outlived_by_nobody(tmp_path: Path) -> None:
    timeouts = {**DEFAULT_TIMEOUTS, "first_run": 0.5}
    outcome = launch(tmp_path, f"{PATH}[fault=child and hang]", cases=2, timeouts=timeouts)
    first, second = outcome.results
    assert (first.status, second.status) == ("ok", "timed_out")
    assert first.details.remarks == ()
    assert outcome.record.noise["end/left_behind"].value == 0


def test_a_check_that_outlasts_the_window_is_no_wrong_clock() -> None:
    result = next(result for result in synthetic_run(rounds=1).results if result.round)
    latency = result.measurement("latency_s")
    assert latency is not None
    whole_s = latency.starts_s[-1] + latency.samples[-1] + 30.0
    assert believed(result, whole_s).status == "failed"
    checked = replace(result, details=replace(result.details, window_s=whole_s - 0.1))
    assert believed(checked, whole_s) is checked
