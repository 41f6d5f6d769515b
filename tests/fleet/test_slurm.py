"""`bench fleet` with a real Slurm of two nodes: elements that fail, are asked to end, or lose their node."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from steelyard.core.errors import UsageError
from steelyard.fleet.scripts import Resources, array_script, grace_s
from steelyard.store import check_run, journal, open_run
from tests.fleet import cluster

KNOWN = "steelyard.selftest.backends:Known"
OPTIONS = (
    *("--suite", "steelyard.selftest.suite:SUITE", "--backend", f"{KNOWN},{KNOWN}[sleep=0.001]"),
    *("--baseline", KNOWN, "--threads", "1", "--quick", "--window", "0.02", "--turns", "off"),
)
# The two nodes are one machine, on which two runs would rightly wait for each other.
SETUP = 'export STEELYARD_LOCKS="$TMPDIR/locks-$SLURMD_NODENAME"; mkdir -p "$STEELYARD_LOCKS"'
GPU = ("--gres", "gpu:fake:1", "--constraint", "fakegpu", "--setup", SETUP)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a running Slurm."""
    if reason := cluster.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    with cluster.slurm(folder) as configuration, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(configuration))
        patch.setenv("TMPDIR", str(folder))
        yield folder


def bench(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "steelyard", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def planned(folder: Path, batches: str, shards: int, rounds: int = 1) -> None:
    chosen = ("--set", f"batch={batches}", "--rounds", str(rounds), "--shards", str(shards), "-o", "plan")
    done = bench(folder, "plan", *OPTIONS, *chosen)
    assert done.returncode == 0, done.stderr


def submitted(folder: Path) -> str:
    """The number of the array."""
    done = bench(folder, "fleet", "submit", "plan", "--runs", "runs", *GPU)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "plan/slurm/jobs.json").read_text())["arrays"][-1]


def states(folder: Path) -> dict[int, str]:
    done = bench(folder, "fleet", "status", "plan", "--runs", "runs", "--json")
    assert done.returncode == 0, done.stderr
    return {each["shard"]: each["state"] for each in json.loads(done.stdout)["shards"]}


def until(holds: Callable[[], Any], folder: Path, within_s: float = 240.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        logs = "\n".join(path.read_text()[-1500:] for path in sorted((folder / "plan/slurm").glob("*.log")))
        assert time.monotonic() < deadline, f"{queue()}\n{states(folder)}\n{logs}"
        time.sleep(1.0)


def queue() -> str:
    return subprocess.run(["squeue", "--array"], capture_output=True, text=True, check=True).stdout


def empty() -> bool:
    return queue().count("\n") == 1


def joined(folder: Path) -> Path:
    (path,) = (
        path
        for path in (folder / "runs").iterdir()
        if (path / "manifest.json").exists() and "joined" in json.loads((path / "manifest.json").read_text())["plan"]
    )
    return path


def launches_once(path: Path, batches: set[int], rounds: int = 1) -> None:
    """Nothing is lost and nothing doubled: a result for every case and arm in each whole round, of which there are so
    many or, in the place of contaminated ones, more; and no launch twice."""
    run = open_run(path)
    assert check_run(path) == ()
    assert {case.point.axes["batch"] for case in run.manifest.cases} == batches
    assert max(Counter((each.launch, each.case_id, each.arm) for each in run.results).values()) == 1
    whole = {number for segment in run.segments for number in segment.rounds if number > 0}
    warm = Counter((each.case_id, each.arm) for each in run.results if each.round in whole)
    assert len(warm) == 3 * len(batches), "both backends and the control arm"
    for case in run.manifest.cases:
        (count,) = {warm[name] for name in warm if name[0] == case.id}
        assert count == 1 if rounds == 1 else count >= rounds


@pytest.mark.timeout(600)
def test_an_array_measures_every_shard_and_a_job_joins_them(slurm: Path, tmp_path: Path) -> None:
    planned(tmp_path, "1,2,3,4", 4)
    number = submitted(tmp_path)
    refused = bench(tmp_path, "fleet", "submit", "plan", "--runs", "runs", *GPU)
    assert refused.returncode == 2
    assert "elements of an earlier submission still queued or running" in refused.stderr
    nodes: set[str] = set()

    def over() -> bool:
        running = [line.split() for line in queue().splitlines()[1:] if line.split()[0].startswith(f"{number}_")]
        on = [fields[-1] for fields in running if fields[4] == "R"]
        assert len(on) == len(set(on)), f"two elements on one node: {on}"
        nodes.update(on)
        return empty()

    until(over, tmp_path)
    assert states(tmp_path) == dict.fromkeys(range(1, 5), "measured")
    assert nodes == {"n1", "n2"}
    launches_once(joined(tmp_path), {1, 2, 3, 4})
    again = bench(tmp_path, "fleet", "submit", "plan", "--runs", "runs")
    assert again.returncode == 2
    assert "every shard of plan is measured" in again.stderr


@pytest.mark.full
@pytest.mark.timeout(600)
def test_an_element_that_fails_keeps_no_other_and_is_submitted_again_alone(slurm: Path, tmp_path: Path) -> None:
    planned(tmp_path, "1,2,3", 3)
    file = tmp_path / "plan/2.json"
    whole = file.read_text()
    file.write_text(whole.replace('"batch":["1","2","3"]', '"batch":["1","3"]'))
    submitted(tmp_path)
    until(empty, tmp_path)
    assert states(tmp_path) == {1: "measured", 2: "not measured", 3: "measured"}
    first = joined(tmp_path)
    assert len(open_run(first).manifest.left_out) == 1
    told = bench(tmp_path, "fleet", "status", "plan", "--runs", "runs").stdout
    assert "2.log" in "".join(told.split())
    assert "is another configuration here" in (tmp_path / "plan/slurm/2.log").read_text()
    file.write_text(whole)
    submitted(tmp_path)
    assert "--array=2\n" in (tmp_path / "plan/slurm/array.sh").read_text()
    until(empty, tmp_path)
    assert set(states(tmp_path).values()) == {"measured"}
    done = bench(tmp_path, "fleet", "gather", "plan", "--from", "runs", "--runs", "whole")
    (path,) = (tmp_path / "whole").iterdir()
    assert done.returncode == 0, done.stderr
    launches_once(path, {1, 2, 3})


@pytest.mark.full
@pytest.mark.timeout(600)
def test_an_element_whose_time_ends_is_queued_again_and_goes_on(slurm: Path, tmp_path: Path) -> None:
    planned(tmp_path, "1,2", 1, rounds=8)
    number = submitted(tmp_path)
    until(lambda: list((tmp_path / "runs").glob("*/segment-000.open/journal.jsonl")), tmp_path)
    time.sleep(3)
    subprocess.run(["scancel", "--signal=USR1", "--batch", f"{number}_1"], check=True)
    until(empty, tmp_path)
    assert states(tmp_path) == {1: "measured"}
    (path,) = (each for each in (tmp_path / "runs").iterdir() if each != joined(tmp_path))
    assert [segment.ended for segment in open_run(path).segments][:1] == ["interrupted"]
    assert len(open_run(path).segments) == 2


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("shards", "rounds", "kills"),
    [
        pytest.param(2, 12, 5, id="5_kills"),
        pytest.param(10, 33, 100, marks=pytest.mark.full, id="1000_results_and_100_kills"),
    ],
)
def test_however_often_nodes_are_lost_no_result_is_lost_and_none_is_doubled(
    slurm: Path, tmp_path: Path, shards: int, rounds: int, kills: int
) -> None:
    batches = range(1, shards + 1)
    planned(tmp_path, ",".join(map(str, batches)), shards, rounds=rounds)
    drawn, killed, deadline = random.Random(kills), 0, time.monotonic() + 120 + 25 * kills
    number = submitted(tmp_path)
    while set(states(tmp_path).values()) != {"measured"}:
        assert time.monotonic() < deadline, f"{killed} killed\n{queue()}\n{states(tmp_path)}"
        if empty():  # Slurm took the death of a batch step for the end of its element
            number = submitted(tmp_path)
        running = _running(tmp_path)
        if killed < kills and running and (killed or _measuring(tmp_path) >= len(running)):
            shard = drawn.choice(sorted(running))
            for process in running[shard]:
                os.kill(process, signal.SIGKILL)
            killed += 1
            subprocess.run(["scontrol", "requeue", f"{number}_{shard}"], check=False, capture_output=True)
        time.sleep(drawn.uniform(0.2, 3.0))
    assert killed == kills, "the runs were over before"
    until(empty, tmp_path)
    path = joined(tmp_path)
    launches_once(path, {*batches}, rounds)
    run = open_run(path)
    assert len(run.results) >= 3 * shards * (rounds + 1)
    assert "recovered" in {segment.ended for segment in run.segments}


def _running(folder: Path) -> dict[int, list[int]]:
    """The processes that measure a shard of the plan, by the shard's number."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_text() if entry.name.isdecimal() else ""
        except OSError:
            continue
        if "steelyard" in command and (shard := re.search(rf"{re.escape(str(folder))}/plan/(\d+)\.json", command)):
            found.setdefault(int(shard[1]), []).append(int(entry.name))
    return found


def _measuring(folder: Path) -> int:
    """How many runs go on that have whole rounds already: a death before the first one leaves nothing to recover."""
    journals = (folder / "runs").glob("*/segment-*.open/journal.jsonl")
    rounds = [{value["round"] for event, value in journal.events(path, []) if event == "result"} for path in journals]
    return sum(len(each) > 2 for each in rounds)


def test_jobs_are_cancelled_and_what_was_measured_stays(slurm: Path, tmp_path: Path) -> None:
    planned(tmp_path, "1,2", 2, rounds=30)
    submitted(tmp_path)
    until(lambda: list((tmp_path / "runs").glob("*/segment-000.open/journal.jsonl")), tmp_path)
    done = bench(tmp_path, "fleet", "cancel", "plan")
    assert done.stdout.startswith("cancelled: ")
    until(empty, tmp_path, within_s=60)
    assert set(states(tmp_path).values()) <= {"cut off", "not measured"}, "it is not queued again"


def test_the_scripts_are_shown_without_slurm(tmp_path: Path) -> None:
    planned(tmp_path, "1,2", 2)
    options = ("--gres", "gpu:1", "--constraint", "a100", "--time", "2:00:00", "--sbatch=--account=x")
    done = bench(tmp_path, "fleet", "submit", "plan", "--runs", "my runs", *options, "--dry-run")
    assert done.returncode == 0, done.stderr
    for wanted in ("--array=1,2", "--exclusive", "--gres=gpu:1", "--constraint=a100", "--account=x", "--requeue"):
        assert f"#SBATCH {wanted}\n" in done.stdout
    assert "/my runs'" in done.stdout, "quoted for the shell"
    shell = subprocess.run(["bash", "-n"], input=done.stdout, capture_output=True, text=True, check=False)
    assert shell.returncode == 0, shell.stderr
    assert not (tmp_path / "plan/slurm").exists()


@pytest.mark.parametrize("option", ["x", "--a\n#SBATCH --b"])
def test_what_is_no_option_of_sbatch_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(UsageError, match="is no option of sbatch"):
        array_script([1], name="x", plan=tmp_path, runs=tmp_path, asked=Resources(options=(option,)))


@pytest.mark.parametrize(
    ("limit", "grace"),
    [
        ("", 300),
        ("UNLIMITED", 300),
        ("4:00:00", 300),
        ("1-12", 300),
        ("20", 300),
        ("5", 75),
        ("8:20", 125),
        ("0:04:00", 60),
        ("0-0:4", 60),
    ],
)
def test_an_element_is_asked_to_end_before_its_time_does_and_not_before_it_has_measured(limit, grace, tmp_path):
    asked = Resources(time=limit)
    assert grace_s(limit) == grace
    assert f"--signal=B:USR1@{grace}\n" in array_script([1], name="x", plan=tmp_path, runs=tmp_path, asked=asked)


def test_a_time_that_slurm_would_not_take_is_told():
    with pytest.raises(UsageError, match="--time '20m' is no time of Slurm"):
        grace_s("20m")


def test_a_container_is_entered_with_the_folders_that_it_needs(tmp_path: Path) -> None:
    asked = Resources(container="/images/bench.sif")
    text = array_script([1], name="x", plan=tmp_path / "plan", runs=tmp_path / "runs", asked=asked)
    assert (
        f"apptainer exec --nv --bind {tmp_path / 'plan'} --bind {tmp_path / 'runs'} /images/bench.sif bench run" in text
    )
