"""`bench run` from the outside: real processes, a real run directory, every way it can end."""

import fcntl
import getpass
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from steelyard.analysis import compare_run
from steelyard.core.run import Run, launches_by_segment
from steelyard.store import find_run, open_run
from tests.fakes.numpy_work import PATH

ROOT = Path(__file__).parents[2]
SUITE = "tests.fakes.small_suite:SUITE"
FAST = ("--window", "0.03", "--no-report")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def bench(cache: Path, tmp_path: Path):
    return into(tmp_path / "runs", cache)


def into(output: Path, cache: Path):
    """The console script, with the folder that its runs go to."""

    def call(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command(*arguments), cwd=ROOT, env=env(cache), capture_output=True, text=True, timeout=300
        )
        assert done.returncode == code, done.stderr
        return done

    def command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "steelyard", *arguments]

    call.command = command  # type: ignore[attr-defined]
    call.env = env(cache)  # type: ignore[attr-defined]
    call.output = output  # type: ignore[attr-defined]
    return call


def env(cache: Path) -> dict[str, str]:
    return {**os.environ, "STEELYARD_CACHE": str(cache)}


def run_of(bench) -> Run:
    return open_run(find_run(bench.output, "latest"))


def small(bench, *backends: str) -> list[str]:
    listed = [part for name in backends for part in ("--backend", name)]
    return ["run", "--suite", SUITE, "--baseline", PATH, "--output", str(bench.output), *listed, *FAST]


FAULTS = {
    "killed": ("crashed", "SIGKILL"),
    "hang": ("timed_out", "time-out"),
    "raise": ("failed", "RuntimeError: <boom> & more"),
    "wrong": ("incorrect", "relative error"),
    "fallback": ("fallback", "ran in bfloat16"),
}


@pytest.fixture(scope="module")
def failed(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run lies in which backends failed in five ways."""
    bench = into(tmp_path_factory.mktemp("failed"), cache)
    backends = [f"{PATH}[fault={fault}]" for fault in FAULTS]
    bench(*small(bench, *backends), "--rounds", "2", "--timeout", "first_run=1", code=3)
    return find_run(bench.output, "latest")


def test_five_failures_are_five_statuses_and_the_other_rows_stay_whole(failed: Path) -> None:
    run = open_run(failed)
    for fault, (status, reason) in FAULTS.items():
        rows = [result for result in run.results if result.arm == f"{PATH}[fault={fault}]"]
        assert {row.status for row in rows} <= {status, "skipped"}, fault
        said = [row for row in rows if row.status == status]
        assert said, fault
        assert all(reason in row.reason for row in said), (fault, said[0].reason)
        assert all(row.measurements == () or row.status in ("incorrect", "fallback") for row in rows)
        assert max(Counter(row.case_id for row in said).values()) == 2, fault  # not launched a third time
    for arm in (PATH, f"{PATH} (control)"):
        rows = [result for result in run.results if result.arm == arm]
        assert Counter(row.status for row in rows) == {"ok": 6}  # 2 cases, a cold round and two more
        assert all(row.measurement("latency_s") for row in rows if row.round > 0)
    assert not [entry for entry in compare_run(run) if entry.verdict in ("faster", "slower")]


@pytest.fixture(scope="module")
def resumed(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A round and the cold one, then two more and a cold one, after its folder was given another name."""
    bench = into(tmp_path_factory.mktemp("resumed"), cache)
    bench(*small(bench, f"{PATH}[sleep=0.001]"), "--rounds", "1")
    first = find_run(bench.output, "latest")
    first.rename(bench.output / "before-tuning")
    bench("run", "--resume", first.name, "--output", str(bench.output), "--rounds", "2", "--no-report")
    run = run_of(bench)
    assert {result.launch.partition("/")[0] for result in run.results} == {first.name}, "whatever its folder is called"
    return run


def test_a_resumed_run_has_whole_rounds_and_goes_on_from_the_last(resumed: Run) -> None:
    run = resumed
    assert [segment.rounds for segment in run.segments] == [(0, 1), (0, 2, 3)]
    rounds = Counter((result.arm, result.round) for result in run.results if result.round > 0)
    assert set(rounds.values()) == {2}
    assert len(rounds) == 9  # 3 arms x 3 rounds
    assert [segment.turns for segment in run.segments] == ["on", "on"]
    assert all((record.stopped_s is None) == (record.round == 0) for record in run.launches)
    taken = [result.measurements[0].turns for result in run.results if result.round > 0]
    assert all(len(turns) > 1 for turns in taken)


@pytest.mark.full
def test_without_turns_launches_run_one_after_the_other_and_a_resumed_run_goes_on_so(bench) -> None:
    bench(*small(bench, f"{PATH}[sleep=0.001]"), "--rounds", "1", "--turns", "off")
    bench("run", "--resume", "latest", "--output", str(bench.output), "--rounds", "1", "--no-report")
    run = run_of(bench)
    assert [segment.turns for segment in run.segments] == ["--turns off"] * 2
    assert all(not entry.turns for result in run.results for entry in result.measurements)
    for part in launches_by_segment(run.launches):
        assert all(early.ended_s <= late.started_s for early, late in pairwise(part))
    refused = bench("run", "--resume", "latest", "--output", str(bench.output), "--turns", "on", code=2)
    assert "--turns" in refused.stderr


def test_a_killed_supervisor_loses_no_finished_launch_and_the_run_can_be_resumed(bench) -> None:
    process = subprocess.Popen(
        bench.command(*small(bench, f"{PATH}[sleep=0.01]"), "--rounds", "30", "--json"),
        cwd=ROOT,
        env=bench.env,
        stdout=subprocess.PIPE,
        text=True,
    )
    finished = []
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "launch_end":
            finished.append((event["arm"], event["round"]))
        if len(finished) == 7:  # in the middle of the second round after the cold one
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    run = run_of(bench)
    kept = {(record.arm, record.round) for record in run.launches}
    assert set(finished) <= kept
    (segment,) = run.segments
    assert (segment.ended, segment.rounds) == ("recovered", (0, 1))
    bench("run", "--resume", "latest", "--output", str(bench.output), "--rounds", "1", "--no-report")
    assert len(run_of(bench).segments) == 2


def test_ctrl_c_ends_cleanly_and_keeps_what_was_measured(bench) -> None:
    process = subprocess.Popen(
        bench.command(*small(bench, f"{PATH}[sleep=0.01]"), "--rounds", "30", "--json"),
        cwd=ROOT,
        env=bench.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "stage" and event["stage"] == "steady":
            process.send_signal(signal.SIGINT)
            break
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    (segment,) = run_of(bench).segments
    assert segment.ended == "interrupted"
    assert 0 in segment.rounds
    bench("run", "--resume", "latest", "--output", str(bench.output), "--rounds", "1", "--time", "9m", "--no-report")
    assert len(run_of(bench).segments) == 2
    assert bench("verify", "latest", "--runs", str(bench.output)).stdout.endswith("everything was traced\n")


def test_eight_rounds_give_a_verdict_or_say_why_not(bench) -> None:
    slow = f"{PATH}[sleep=0.004]"
    bench(*small(bench, slow, f"{PATH}[fault=absent]"), "--baseline", f"{PATH}[sleep=0.002]", "--rounds", "8")
    run = run_of(bench)
    assert [entry.backend for entry in run.manifest.left_out] == [f"{PATH}[fault=absent]"]
    found = {entry.workload: entry for entry in compare_run(run) if entry.candidate == slow}
    for workload, comparison in found.items():
        assert comparison.ratio is not None
        assert 1.5 < comparison.ratio.value < 2.5, workload
        assert comparison.verdict in ("slower", "withheld")
    assert found["wide"].family == "primary"
    assert found["narrow"].family == "exploratory"


def test_quick_prints_numbers_and_no_verdict(bench) -> None:
    bench(*small(bench, f"{PATH}[sleep=0.003]"), "--quick")
    run = run_of(bench)
    assert {result.round for result in run.results} == {0, 1, 2, 3}
    assert {entry.verdict for entry in compare_run(run)} <= {"inconclusive", "withheld"}


def test_quick_takes_as_many_rounds_as_are_asked_for(bench) -> None:
    bench(*small(bench, f"{PATH}[sleep=0.001]"), "--quick", "--rounds", "1")
    assert {result.round for result in run_of(bench).results} == {0, 1}


def test_cold_start_launches_five_times_with_an_empty_cache_and_no_window(bench) -> None:
    bench(*small(bench, f"{PATH}[sleep=0.001]"), "--scenario", "cold-start")
    run = run_of(bench)
    launches = Counter(record.arm for record in run.launches)
    assert set(launches.values()) == {5}
    assert all(result.measurements == () and result.status == "ok" for result in run.results)
    assert all("compile_s" in result.phases for result in run.results)
    assert not any(result.options["found_cache"] for result in run.results)


def test_every_launch_is_a_process_of_its_own_and_positions_are_balanced(resumed: Run) -> None:
    processes = {result.launch: result.options["pid"] for result in resumed.results}
    assert len(set(processes.values())) == len(processes) == len(resumed.launches) == 15
    _, second = launches_by_segment(resumed.launches)
    taken = {record.arm: {other.position for other in second if other.arm == record.arm} for record in second}
    assert len(taken) == 3
    assert all(positions == {0, 1, 2} for positions in taken.values()), taken
    found = {(result.round > 0, result.options["found_cache"]) for result in resumed.results}
    assert found == {(False, False), (True, True)}, "round 0 is cold, later ones find what it kept"


def test_a_baseline_that_is_not_there_is_said(bench) -> None:
    absent = f"{PATH}[fault=absent]"
    done = bench(*small(bench, PATH), "--baseline", absent, "--dry-run")
    assert f"the baseline {absent} cannot run here" in done.stdout


def test_a_point_that_the_suite_gets_wrong_is_told_once_and_is_no_backends_fault(bench) -> None:
    arguments = small(bench, PATH)
    arguments[arguments.index(SUITE)] = "tests.fakes.small_suite:HALF"
    bench(*arguments, "--rounds", "1", code=3)
    run = run_of(bench)
    (left,) = run.manifest.left_out
    assert (left.backend, left.status, left.point) == ("all", "suite error", "narrow batch=4")
    assert left.reason.startswith("suite error: suite 'small', workload 'narrow batch=4': ")
    assert "ValueError: there are no inputs to be had (tests/fakes/small_suite.py:" in left.reason
    assert {run.case(result.case_id).point.workload for result in run.results} == {"wide"}
    assert {result.status for result in run.results} == {"ok"}
    told = bench("show", "latest", "--runs", str(bench.output))
    assert "all on narrow batch=4: suite error: suite 'small'" in " ".join(told.stdout.split())


def test_a_suite_of_which_no_point_is_right_ends_before_anything_is_stored(bench) -> None:
    arguments = small(bench, PATH)
    arguments[arguments.index(SUITE)] = "tests.fakes.mistaken:SUITE"
    done = bench(*arguments, "--workload", "shape,dict", code=2)
    told = next(line for line in done.stderr.splitlines() if line.startswith("bench: suite error: "))
    for name in ("shape", "dict"):
        assert told.count(f"suite error: suite 'mistaken', workload '{name}': program 'forward'") == 1
    assert not list(bench.output.glob("*/manifest.json"))


def test_a_dry_run_prints_the_plan_and_measures_nothing(bench) -> None:
    done = bench(*small(bench, f"{PATH}[fault=absent]"), "--dry-run")
    assert "left out: " in done.stdout
    assert "asked to be absent" in done.stdout
    assert "estimate: " in done.stdout
    assert not bench.output.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--suite", "llmm"], "unknown suite 'llmm'; did you mean 'llm'?"),
        (["--backend", "inductr"], "unknown backend 'inductr'; did you mean 'inductor'?"),
        (["--backend", "openvino[strems=2]"], "did you mean 'streams'?"),
        (["--device", "cudda"], "unknown device 'cudda'"),
        (["--workload", "decod"], "did you mean 'decode'?"),
        (["--set", "prompts=3"], "unknown axis 'prompts'; did you mean 'prompt'?"),
        (["--set", "prompt=many"], "'many'"),
        (["--set", "model"], "is not of the form AXIS=VALUE"),
        (["--size", "huge"], "unknown size 'huge'"),
        (["--time", "soon"], "is not a duration"),
        (["--cpus", "4096"], "may not use CPU 4096"),
        (["--timeout", "compile=nan"], "with seconds above 0"),
        (["--timeout", "compil=3"], "unknown stage 'compil'; did you mean 'compile'?"),
        (["--window", "inf"], "--window inf is no length"),
        (["--tuning", "best"], "unknown tuning 'best'"),
        (["--backend", "no.such.module:Thing"], "cannot import module 'no.such.module'"),
        (["--resume", "latest", "--backend", "xla", "--dry-run"], "leave --size, --backend, --dry-run out"),
    ],
)
def test_bad_input_names_what_is_wrong_and_the_closest_valid_name(bench, arguments: list[str], said: str) -> None:
    done = bench("run", "--size", "tiny", "--output", str(bench.output), *arguments, code=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_is_not_there_cannot_be_gone_on_with(bench) -> None:
    assert "there are no runs here" in bench("run", "--resume", "nothing", "--output", str(bench.output), code=2).stderr


def test_a_place_that_cannot_be_written_is_told_before_anything_runs(bench, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    done = bench("run", "--suite", SUITE, "--baseline", PATH, "--output", str(tmp_path / "file" / "runs"), code=2)
    assert str(tmp_path / "file" / "runs") in done.stderr
    assert "lowering" not in done.stderr.replace("estimate: lowering", "")
    assert "Traceback" not in done.stderr


def test_the_stored_run_names_neither_host_nor_user_nor_home(failed: Path) -> None:
    names = {os.uname().nodename, getpass.getuser(), str(Path.home())} - {"/"}
    paths = list(failed.rglob("*.json*"))
    assert len(paths) > 2
    for path in paths:
        for name in names:
            assert not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", path.read_text()), (path.name, name)


def test_time_ends_the_run_between_rounds(bench) -> None:
    begun = time.monotonic()
    told = bench(*small(bench, f"{PATH}[sleep=0.001]"), "--time", "1s").stderr
    assert time.monotonic() - begun < 60
    run = run_of(bench)
    (segment,) = run.segments
    assert (segment.ended, segment.rounds) == ("time", (0,))
    assert "expected: too little time for verdicts: they need 4 rounds, and 0 fit; " in told
    assert "wide: the baseline tests.fakes.numpy_work:NumpyRunner gave no time (no warm round was completed)." in told
    if segment.noise.grade == "F":
        assert "Verdicts on wide are withheld, because the machine was too noisy: run again when it is quiet" in told
        return
    assert "No verdict on wide yet for " in told
    assert f"about 4 more rounds would do, as things are; bench run --resume {run.manifest.run_id} goes on." in told


def test_a_terminal_that_is_closed_ends_nothing(bench) -> None:
    """The kernel sends SIGHUP, and writing to the terminal is an error from then on."""
    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        bench.command(*small(bench, f"{PATH}[sleep=0.001]"), "--rounds", "1"),
        cwd=ROOT,
        env=bench.env,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(terminal)
    seen = b""
    while b"cold round" not in seen:
        seen += os.read(screen, 4096)
    os.close(screen)
    assert process.wait(timeout=120) == 0
    (segment,) = run_of(bench).segments
    assert (segment.ended, segment.rounds) == ("rounds", (0, 1))


def test_ctrl_c_that_also_ends_the_reader_of_all_output_is_130(bench) -> None:
    """As `bench run 2>&1 | tee log`: Ctrl-C goes to both."""
    process = subprocess.Popen(
        bench.command(*small(bench, f"{PATH}[sleep=0.01]"), "--rounds", "30"),
        cwd=ROOT,
        env=bench.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert any(line.startswith("round 1 ") for line in process.stdout)
    process.stdout.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    (segment,) = run_of(bench).segments
    assert segment.ended == "interrupted"
    assert 0 in segment.rounds
