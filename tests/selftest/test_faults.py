"""Backends that are wrong on purpose, in real workers and through the command line: each is caught, by its sentence."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from steelyard.cli import faults as cli_faults
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.errors import UsageError
from steelyard.core.lowered import LoweredPoint
from steelyard.core.workload import Selection
from steelyard.engine.launch import LaunchOutcome, run_launch
from steelyard.engine.lower import lower_points
from steelyard.engine.plan import DEFAULT_TIMEOUTS
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from steelyard.selftest import faults
from steelyard.selftest.backends import FAULTS, PATH
from steelyard.selftest.suite import SUITE
from steelyard.store import find_run, open_run
from tests.fakes.runs import synthetic_run

COLD = [
    ("ignores input", "incorrect", "inputs that it had not seen gave an earlier answer"),
    ("memo", "incorrect", "answers are kept: a new input took"),
    ("bound memo", "incorrect", "inputs that it had not seen gave an earlier answer"),
    ("returns early", "incorrect", "run() returned before its outputs were complete"),
    ("writes late", "incorrect", "inputs that it had not seen gave an earlier answer"),
    ("lazy", "incorrect", "run() did not do the work"),
    ("dropped output", "incorrect", "z: it is missing"),
    ("patched timer", "failed", "time.perf_counter_ns was replaced"),
    ("patched loop", "failed", "the clock of the timed loop was replaced"),
]
WARM = [
    ("patched timer", "failed", "time.perf_counter_ns was replaced"),
    ("slow clock", "failed", "where the kernel's counted"),
    ("late compile", "fallback", "compilations moved by 1"),
    ("dropped output", "incorrect", "z: it is missing"),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEELYARD_CACHE", str(directory))
        yield directory


@pytest.fixture(scope="module")
def point(cache: Path) -> LoweredPoint:
    points = SUITE.points(Selection(device_kind="cpu"))
    lowered, failures = lower_points(points, [], weights_dir=None, device_kind="cpu", say=lambda text: None)
    assert not failures
    return lowered[points[0].key]


def launch(tmp_path: Path, point: LoweredPoint, options: str, *, steady: bool, seconds: float = 0.4) -> LaunchOutcome:
    request = LaunchRequest(
        launch=f"run/{tmp_path.name}",
        arm=options,
        round=int(steady),
        position=0,
        backend=parse_backend(f"{PATH}[{options}]"),
        device=Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
        budget=Budget(threads=1, cpus=(min(os.sched_getaffinity(0)),)),
        compile_cache=str(tmp_path / "cache"),
        scratch=str(tmp_path / "scratch"),
        seed=3,
        steady=steady,
        cases=(
            CaseRequest(case_id="case", lowered=point, pace=Pace(seconds=seconds, minimum=10, maximum=5000, cap_s=4.0)),
        ),
    )
    return run_launch(request, origin_s=time.monotonic(), timeouts=DEFAULT_TIMEOUTS)


@pytest.mark.parametrize("options", ["sleep=0", "sleep=0.001", "spin=0.001", "allocate=16"])
def test_a_right_backend_is_not_doubted_however_fast_it_is(tmp_path: Path, point: LoweredPoint, options: str) -> None:
    (result,) = launch(tmp_path, point, options, steady=False).results
    assert (result.status, result.reason) == ("ok", "")
    assert result.details.mixtures == 3
    assert result.details.remarks == ()


@pytest.mark.parametrize(("fault", "status", "reason"), COLD, ids=[case[0] for case in COLD])
def test_the_cold_round_catches(tmp_path: Path, point: LoweredPoint, fault: str, status: str, reason: str) -> None:
    (result,) = launch(tmp_path, point, f"sleep=0.001,fault={fault}", steady=False).results
    assert result.status == status
    assert reason in result.reason


@pytest.mark.parametrize(("fault", "status", "reason"), WARM, ids=[case[0] for case in WARM])
def test_the_timed_window_catches(tmp_path: Path, point: LoweredPoint, fault: str, status: str, reason: str) -> None:
    (result,) = launch(tmp_path, point, f"sleep=0.001,fault={fault}", steady=True).results
    assert result.status == status
    assert reason in result.reason
    if fault == "slow clock":  # it counts one second of two
        told, true = map(float, re.findall(r"counted ([\d.]+) s", result.reason))
        assert true == pytest.approx(2 * told, rel=0.1)


@pytest.mark.parametrize(("grade", "caught", "told"), [("F", False, True), ("F", True, False), ("B", False, False)])
def test_a_miss_on_a_noisy_machine_says_so(grade, caught, told, tmp_path, monkeypatch, capsys) -> None:
    run = synthetic_run(backends=("eager", "xla"), grade=grade, evidence=(f"{grade}: a background load",))
    catch = faults.Catch(fault="known spin", means="", expected="2 ms", seen="median 4 ms", caught=caught)
    monkeypatch.setattr(cli_faults, "new_run", lambda *_, **__: 0)
    monkeypatch.setattr(cli_faults, "find_run", lambda *_: tmp_path)
    monkeypatch.setattr(cli_faults, "open_run", lambda _: run)
    monkeypatch.setattr(cli_faults, "judge", lambda *_: (catch,))
    code = cli_faults.run_faults(
        ("known spin",), output=tmp_path, cpus=None, seed=0, window_s=None, dry_run=False, json=False
    )
    assert code == (0 if caught else 1)
    assert ("a background load" in capsys.readouterr().err) == told


def test_memory_that_grows_with_every_call_is_remarked_with_its_size(tmp_path: Path, point: LoweredPoint) -> None:
    (result,) = launch(tmp_path, point, "sleep=0.001,fault=leak", steady=True).results
    assert result.status == "ok"
    (remark,) = result.details.remarks
    assert re.match(r"memory grows with every call: 0\.1[1-4] MiB a call", remark)
    assert result.details.growth_bytes_per_call.value == pytest.approx(131_072, rel=0.1)


def test_a_child_in_a_session_of_its_own_is_ended_and_remarked(tmp_path: Path, point: LoweredPoint) -> None:
    outcome = launch(tmp_path, point, "fault=child", steady=False)
    (result,) = outcome.results
    assert outcome.record.noise["end/left_behind"].value == 1
    assert result.details.remarks == ("1 process of the backend outlived its worker and had to be ended",)
    mark = f"STEELYARD_LAUNCH=run/{tmp_path.name}".encode()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(mark in environ for environ in _environments()):
        time.sleep(0.05)  # a killed process stays visible until its parent has taken notice
    assert not any(mark in environ for environ in _environments())


def _environments() -> Iterator[bytes]:
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            yield entry.read_bytes()
        except OSError:
            continue  # it ended while we looked, or is another user's


def bench(output: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "steelyard", "selftest", "--output", str(output), *arguments]
    return subprocess.run(command, cwd=output.parent, capture_output=True, text=True, timeout=300)


def test_faults_are_caught_through_the_command_line_and_judged_from_the_stored_run(cache: Path, tmp_path: Path) -> None:
    output = tmp_path / "results"
    done = bench(output, "--fault", "bound memo,child", "--window", "0.05", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kind"] == "steelyard-selftest"
    assert told["missed"] == []
    assert [(row["fault"], row["caught"]) for row in told["faults"]] == [("bound memo", True), ("child", True)]
    assert "outlived its worker" in done.stderr, "said while it runs"

    run = open_run(find_run(output / "selftest" / "faults", "latest"))
    chosen = faults.chosen(("bound memo",))
    assert [catch.caught for catch in faults.judge(run, chosen)] == [True]
    healed = dataclasses.replace(
        run, results=tuple(dataclasses.replace(result, status="ok", reason="") for result in run.results)
    )
    (catch,) = faults.judge(healed, chosen)
    assert (catch.caught, catch.seen) == (False, "every launch ended ok")


def test_what_is_not_seen_is_said_and_ends_with_1(cache: Path, tmp_path: Path) -> None:
    # The step comes after 150 calls: a window of 20 ms never sees it.
    done = bench(tmp_path / "results", "--fault", "step", "--window", "0.02")
    assert done.returncode == 1, done.stderr
    assert "0 of 1 caught; not: step" in done.stdout


def test_every_fault_is_judged_and_unknown_ones_are_named() -> None:
    assert set(faults.ALL) == {*FAULTS, "known sleep", "known spin", "known allocation"}
    with pytest.raises(UsageError, match="unknown fault 'memmo'; did you mean 'memo'"):
        faults.chosen(("memmo",))


def test_options_of_the_other_test_are_refused(tmp_path: Path) -> None:
    for arguments in (("--background-load",), ("--fault", "memo", "--aa", "1")):
        done = bench(tmp_path / "results", *arguments)
        assert done.returncode == 2
        assert "--aa" in done.stderr
