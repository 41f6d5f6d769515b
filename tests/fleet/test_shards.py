"""A run divided into shards, each measured by a real `bench run --shard`, and joined to one run."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard import wire
from steelyard.core.errors import StoreError, UsageError
from steelyard.core.shard import Shard
from steelyard.core.workload import Selection
from steelyard.history.nights import nights_of
from steelyard.lowering.points import points_of
from steelyard.selftest.suite import SUITE
from steelyard.service import sharding
from steelyard.service.sharding import divide, every, read, write
from steelyard.service.sharding import planned as sharded
from steelyard.store import check_run, open_run
from steelyard.store.join import join

KNOWN = "steelyard.selftest.backends:Known"
OPTIONS = (
    *("--suite", "steelyard.selftest.suite:SUITE", "--backend", f"{KNOWN},{KNOWN}[sleep=0.001]"),
    *("--baseline", KNOWN, "--threads", "1", "--quick", "--rounds", "2", "--window", "0.02", "--turns", "off"),
)
ALL = ("--set", "batch=1,2,3,4,5")


def bench(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "steelyard", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def points(*batches: int):
    chosen = {"batch": tuple(map(str, batches))}
    return points_of(SUITE, Selection(device_kind="cpu", axes=chosen))


@given(
    batches=st.lists(st.integers(min_value=1, max_value=10**6), min_size=1, max_size=30, unique=True),
    data=st.data(),
)
def test_each_configuration_is_in_one_shard_and_the_same_request_gives_the_same_shards(batches, data) -> None:
    count = data.draw(st.integers(min_value=1, max_value=len(batches)))
    every_point = points(*batches)
    shards = divide({"suite": "x"}, every_point, count)
    assert [shard.place.number for shard in shards] == list(range(1, count + 1))
    assert sorted(key for shard in shards for key in shard.points) == sorted(point.key for point in every_point)
    assert all(shard.points for shard in shards), "no machine has nothing to do"
    assert divide({"suite": "x"}, every_point, count) == shards
    assert divide({"suite": "y"}, every_point, count)[0].place.plan != shards[0].place.plan


def test_configurations_that_share_weights_stay_together_where_there_are_enough_others() -> None:
    found = points(1, 2, 3, 4)
    one, other = found[:2], found[2:]
    program = other[0].programs["main"]
    apart = tuple(
        replace(point, programs={"main": replace(program, inputs=point.programs["main"].inputs, weights=weights)})
        for point in other
        for weights in [replace(program.weights, arguments={"seed": 1})]
    )
    shards = divide({}, (*one, *apart), 2)
    assert {frozenset(shard.points) for shard in shards} == {
        frozenset(point.key for point in part) for part in (one, apart)
    }


def test_more_shards_than_configurations_are_refused() -> None:
    with pytest.raises(UsageError, match="3 shards, and 2 configurations: give --shards 2 or fewer"):
        divide({}, points(1, 2), 3)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    done = bench(folder, "plan", *OPTIONS, *ALL, "--shards", "2", "-o", "plan")
    assert done.returncode == 0, done.stderr
    assert "configurations" in done.stdout
    return folder


@pytest.fixture(scope="module")
def measured(planned: Path) -> Path:
    for number in (1, 2):
        done = bench(planned, "run", "--shard", f"plan/{number}.json", "--wait", "--no-report")
        assert done.returncode == 0, done.stderr
    return planned


def shards_in(folder: Path) -> tuple[Shard, ...]:
    return every(folder / "plan")


def runs_in(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "bench-results").iterdir() if (path / "manifest.json").exists())


@pytest.mark.timeout(600)
def test_the_shards_runs_are_one_run_once_joined(measured: Path) -> None:
    parts = [open_run(path) for path in runs_in(measured)]
    done = bench(measured, "fleet", "gather", "plan", "--from", "bench-results", "--runs", "joined", "--report")
    assert done.returncode == 0, done.stderr
    assert ": joined\n" in done.stdout
    (path,) = runs_in_joined = [each for each in (measured / "joined").iterdir() if each.is_dir()]
    assert check_run(path) == ()
    run = open_run(path)
    assert {case.point.axes["batch"] for case in run.manifest.cases} == {1, 2, 3, 4, 5}
    assert len(run.segments) == 2
    assert len(run.results) == sum(len(part.results) for part in parts)
    warm = [number for segment in run.segments for number in segment.rounds if number > 0]
    assert len(warm) == len(set(warm)) == 4, "two rounds of each shard, under numbers of their own"
    told = {(result.case_id, result.arm): 0 for result in run.results}
    assert len(told) == 5 * 3, "every configuration on both backends and the control arm"
    assert bench(measured, "verify", str(path), "--no-figures").returncode == 0
    again = bench(measured, "fleet", "gather", "plan", "--from", "bench-results", "--runs", "joined")
    assert ": is here already\n" in again.stdout
    assert [each for each in (measured / "joined").iterdir() if each.is_dir()] == runs_in_joined
    shown = bench(measured, "show", str(path), "--json")
    rows = json.loads(shown.stdout)["rows"]
    assert {row["status"] for row in rows} == {"ok"}


@pytest.mark.timeout(600)
def test_a_shard_that_is_measured_is_not_measured_again(measured: Path) -> None:
    before = runs_in(measured)
    done = bench(measured, "run", "--shard", "plan/1.json", "--wait", "--no-report")
    assert done.returncode == 0, done.stderr
    assert "is measured" in done.stderr
    assert runs_in(measured) == before


def test_a_shard_that_nobody_measured_is_told_and_its_configurations_are_left_out(
    measured: Path, tmp_path: Path
) -> None:
    shards, runs = shards_in(measured), runs_in(measured)
    of_first = [path for path in runs if open_run(path).manifest.settings.shard.number == 1]
    made = join(shards, of_first, tmp_path)
    assert made.missing == (shards[1].place,)
    run = open_run(made.path)
    assert {entry.point for entry in run.manifest.left_out} == set(shards[1].titles)
    assert "shard 2 of 2" in run.manifest.left_out[0].reason
    whole = join(shards, runs, tmp_path)
    assert whole.new, "with the other shard it is another run"
    assert whole.path != made.path


@pytest.mark.parametrize("state", ["interrupted", "killed", "nothing measured"])
def test_a_shard_that_was_cut_off_keeps_nobody_from_joining_the_others(
    measured: Path, tmp_path: Path, state: str
) -> None:
    shards = shards_in(measured)
    numbers = {open_run(path).manifest.settings.shard.number: path for path in runs_in(measured)}
    broken = tmp_path / "broken"
    shutil.copytree(numbers[2], broken)
    (segment,) = broken.glob("segment-*")
    if state == "interrupted":
        file = segment / "segment.json"
        file.write_text(re.sub(r'"ended":\s*"\w+"', '"ended":"interrupted"', file.read_text()))
    elif state == "killed":
        segment.rename(segment.with_name(f"{segment.name}.open"))
    else:
        shutil.rmtree(segment)
    made = join(shards, [numbers[1], broken], tmp_path / "joined")
    assert made.missing == (shards[1].place,)
    assert "was not measured to the end" in open_run(made.path).manifest.left_out[0].reason
    with pytest.raises(UsageError, match="has ended: bench run --shard FILE measures one, or goes on"):
        join(shards, [broken], tmp_path / "joined")


def test_a_folder_must_hold_each_shard_of_one_plan_once(planned: Path, tmp_path: Path) -> None:
    shards = shards_in(planned)
    write(shards[:1], tmp_path / "lacking")
    with pytest.raises(UsageError, match="has the shards 1, and not each of 1 to 2 once"):
        every(tmp_path / "lacking")
    write(shards, tmp_path / "twice")
    wire.write(tmp_path / "twice/1 copy.json", shards[0])
    with pytest.raises(UsageError, match="has the shards 1, 1, 2, and not each"):
        every(tmp_path / "twice")
    write(shards, tmp_path / "mixed")
    wire.write(tmp_path / "mixed/3.json", replace(shards[0], place=replace(shards[0].place, plan="another")))
    with pytest.raises(UsageError, match="shards of several plans"):
        every(tmp_path / "mixed")


def test_another_version_of_this_project_makes_another_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    before = divide({}, points(1, 2), 1)[0].place.plan
    monkeypatch.setattr(sharding, "__version__", "0.0.0")
    assert divide({}, points(1, 2), 1)[0].place.plan != before


def test_the_order_in_which_runs_are_named_changes_nothing(measured: Path, tmp_path: Path) -> None:
    shards, runs = shards_in(measured), runs_in(measured)
    one, other = (join(shards, order, tmp_path / name) for name, order in (("a", runs), ("b", runs[::-1])))
    files = [sorted(path.relative_to(made.path) for path in made.path.rglob("*")) for made in (one, other)]
    assert files[0] == files[1]
    for name in files[0]:
        if (one.path / name).is_file():
            assert (one.path / name).read_bytes() == (other.path / name).read_bytes()


def test_two_that_join_at_once_make_one_run(measured: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "steelyard", "fleet", "gather", str(measured / "plan")]
    command += ["--from", str(measured / "bench-results"), "--runs", "joined"]
    both = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [each.communicate(timeout=120)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert len([path for path in (tmp_path / "joined").iterdir() if path.is_dir()]) == 1


def test_a_run_that_was_joined_counts_in_a_history_by_its_parts(measured: Path, tmp_path: Path) -> None:
    made = join(shards_in(measured), runs_in(measured), tmp_path)
    assert list(nights_of(open_run(made.path))) == []
    assert len({night.run for path in runs_in(measured) for night in nights_of(open_run(path))}) == 2


def test_unlike_machines_are_not_one_run(measured: Path, tmp_path: Path) -> None:
    runs = runs_in(measured)
    moved = tmp_path / "other" / runs[1].name
    moved.parent.mkdir()
    subprocess.run(["cp", "-r", str(runs[1]), str(moved)], check=True)
    manifest = moved / "manifest.json"
    document = json.loads(manifest.read_text())
    document["environment"]["kernel"] = "1.2.3"
    manifest.write_text(json.dumps(document))
    digest = subprocess.run(["sha256sum", str(manifest)], check=True, capture_output=True, text=True).stdout.split()[0]
    for segment in moved.glob("segment-*/segment.json"):
        told = json.loads(segment.read_text())
        told["manifest_sha256"] = digest
        segment.write_text(json.dumps(told))
    with pytest.raises(StoreError, match=r"are of unlike machines, and are not one run: kernel: .*1\.2\.3"):
        join(shards_in(measured), [runs[0], moved], tmp_path / "joined")


def test_a_shard_measured_twice_is_told(measured: Path, tmp_path: Path) -> None:
    runs = runs_in(measured)
    with pytest.raises(StoreError, match=r"shard 1 of 2 .* was measured twice"):
        join(shards_in(measured), [runs[0], runs[0]], tmp_path)


@pytest.mark.timeout(600)
def test_a_shard_whose_run_was_killed_goes_on_where_it_was(planned: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "steelyard", "run", "--shard", str(planned / "plan/1.json")]
    command += ["--wait", "--no-report", "--output", "runs"]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not any((tmp_path / "runs").glob("*/segment-000.open/journal.jsonl")):
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "going on with shard 1 of 2" in done.stderr
    (path,) = (each for each in (tmp_path / "runs").iterdir() if (each / "manifest.json").exists())
    assert check_run(path) == ()
    last = open_run(path).segments[-1]
    assert last.ended not in ("interrupted", "recovered")


def test_a_shard_of_another_version_is_refused(planned: Path, tmp_path: Path) -> None:
    shard = read(planned / "plan/1.json")
    wire.write(tmp_path / "1.json", replace(shard, tool_version="0.0.0"))
    with pytest.raises(UsageError, match=r"was planned by steelyard 0\.0\.0"):
        read(tmp_path / "1.json")


def test_a_folder_with_another_plan_is_left_alone(planned: Path) -> None:
    with pytest.raises(UsageError, match="has the shards of another plan"):
        write(divide({"suite": "other"}, points(1, 2), 2), planned / "plan")


def test_a_plan_that_comes_out_otherwise_here_is_refused(planned: Path, tmp_path: Path) -> None:
    shard = read(planned / "plan/1.json")
    wire.write(tmp_path / "1.json", replace(shard, asked={**shard.asked, "axes": {"batch": ["7"]}}))
    done = bench(tmp_path, "run", "--shard", "1.json")
    assert done.returncode == 2
    assert "is another configuration here, or none" in done.stderr


def test_options_of_a_run_are_checked_when_it_is_planned(tmp_path: Path) -> None:
    wrong = bench(tmp_path, "plan", "--suite", "vision", "--turns", "maybe", "--shards", "2", "-o", "plan")
    assert wrong.returncode == 2
    assert "unknown turns 'maybe'" in wrong.stderr
    unknown = bench(tmp_path, "plan", "--no-such-option", "1", "--shards", "2", "-o", "plan")
    assert unknown.returncode == 2
    assert "--no-such-option" in unknown.stderr


@pytest.mark.parametrize("option", [("--largest", "batch"), ("--dry-run",), ("--resume", "latest"), ("--json",)])
def test_an_option_without_effect_is_refused(tmp_path: Path, option: tuple[str, ...]) -> None:
    done = bench(tmp_path, "plan", "--suite", "vision", *option, "--shards", "2", "-o", "plan")
    assert done.returncode == 2
    assert f"{option[0]}: for bench run alone" in done.stderr
    assert not (tmp_path / "plan").exists()


def test_paths_that_were_asked_for_are_paths_again(planned: Path, tmp_path: Path) -> None:
    shard = read(planned / "plan/1.json")
    asked = {**shard.asked, "meter": str(tmp_path / "no.csv"), "weights": str(tmp_path)}
    with pytest.raises(UsageError, match=r"no\.csv"):
        sharded(replace(shard, asked=asked))


def test_what_was_planned_is_not_asked_again(planned: Path) -> None:
    done = bench(planned, "run", "--shard", "plan/1.json", "--quick")
    assert done.returncode == 2
    assert "--shard measures what was planned: leave --quick out" in done.stderr


def test_a_plan_for_another_kind_of_device_is_made_here(tmp_path: Path) -> None:
    done = bench(tmp_path, "plan", "--suite", "vision", "--for", "cuda", "--shards", "3", "-o", "plan")
    assert done.returncode == 0, done.stderr
    shard = read(tmp_path / "plan/1.json")
    assert shard.asked["device"] == "cuda:0"
    assert all("bfloat16" in title for each in shards_in(tmp_path) for title in each.titles)
