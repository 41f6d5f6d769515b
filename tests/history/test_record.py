"""The file of a history, made of stored runs."""

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.core.errors import StoreError, UsageError
from steelyard.history import record
from steelyard.history.nights import nights_of
from tests.fakes.runs import Outcome, synthetic_run
from tests.fakes.stored import store
from tests.history.nights import nights


def run_of(seed: int, day: int = 1, **how):
    run = synthetic_run(backends=("eager", "xla"), rounds=4, seed=seed, **how)
    manifest = replace(
        run.manifest, run_id=f"202601{day:02}T020000Z-llm-{seed:06x}", created_utc=f"2026-01-{day:02}T02:00:00+00:00"
    )
    return replace(run, manifest=manifest)


def test_every_timed_metric_of_every_case_is_a_line_and_control_arms_have_none():
    run = run_of(1)
    found = list(nights_of(run))
    assert {night.series.arm for night in found} == {"eager", "xla"}
    assert {night.series.metric for night in found} >= {"latency_s"}
    assert all(night.value > 0 and night.launches == 4 and not night.reason for night in found)
    assert all("jax" in night.stack for night in found if night.series.arm == "xla")


def test_wrong_answers_failures_and_noise_are_kept_with_their_reason():
    failing = run_of(1, statuses={("xla", "decode"): Outcome(status="crashed", reason="signal 9")})
    (lost,) = (n for n in nights_of(failing) if n.series.arm == "xla" and n.series.title.startswith("decode"))
    assert lost.value is None
    assert "crashed" in lost.reason
    noisy = next(nights_of(run_of(1, grade="F", evidence=("F: others used 90 % of the CPUs",))))
    assert noisy.value
    assert noisy.reason.startswith("too noisy: noise grade F")


def test_a_run_counts_once_and_in_the_order_of_its_own_time(tmp_path: Path):
    path = tmp_path / "deep" / "history.jsonl"
    late, early = list(nights_of(run_of(2, day=9))), list(nights_of(run_of(1, day=3)))
    assert record.append(path, late) == len(late)
    assert record.append(path, [*early, *late]) == len(early)
    assert record.append(path, early) == 0
    assert record.read(path) == (*early, *late)


def test_memory_that_a_kernel_leaves_begins_no_other_series():
    run = run_of(1)
    device = run.manifest.device
    sizes = (24 * 2**30, 24 * 2**30 - 4096)
    series = [
        {
            night.series
            for night in nights_of(
                replace(run, manifest=replace(run.manifest, device=replace(device, memory_bytes=size)))
            )
        }
        for size in sizes
    ]
    assert series[0] == series[1]


def test_a_run_that_was_gone_on_with_takes_the_place_of_what_it_was(tmp_path: Path):
    path = tmp_path / "history.jsonl"
    (once,) = nights([0.1])
    more = replace(once, launches=20, value=0.2)
    assert record.append(path, [once]) == 1
    assert record.append(path, [more]) == 1
    assert record.append(path, [once]) == 0
    assert record.read(path) == (more,)


def test_a_line_that_was_cut_off_is_written_anew(tmp_path: Path):
    path = tmp_path / "history.jsonl"
    every = nights([0.1, 0.2, 0.3])
    record.append(path, every)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert record.read(path) == every[:2]
    record.append(path, every)
    assert path.read_bytes() == whole


def test_what_is_no_record_is_named_with_its_line(tmp_path: Path):
    path = tmp_path / "history.jsonl"
    record.append(path, nights([0.1]))
    with path.open("a") as stream:
        stream.write('{"run": 3}\n')
    with pytest.raises(StoreError, match=r"history\.jsonl, line 2: not a valid Night"):
        record.read(path)


def _add(path: Path, first: int) -> None:
    for place in range(first, first + 20):
        record.append(path, nights([0.1] * 40)[place : place + 1])


def test_several_add_at_once_and_nothing_is_lost_or_doubled(tmp_path: Path):
    path = tmp_path / "history.jsonl"
    context = multiprocessing.get_context("spawn")
    jobs = [context.Process(target=_add, args=(path, first)) for first in (0, 10, 20)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0, 0, 0]
    assert record.read(path) == nights([0.1] * 40)
    assert len(path.read_bytes().splitlines()) == 40


def bench(*arguments: str):
    return CliRunner().invoke(app, ["history", *arguments])


def test_runs_become_a_history_that_tells_who_became_slower(tmp_path: Path):
    for day in range(1, 10):
        slower = {"eager": 1.0, "xla": 0.5 if day < 6 else 0.6}
        store(run_of(day, day, effect=slower), tmp_path)
    done = bench("add", "--runs", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert bench("add", "--runs", str(tmp_path)).output.split(": ")[1].startswith("0 lines")
    shown = bench("show", "--runs", str(tmp_path), "--backend", "xla", "--workload", "decode")
    assert shown.exit_code == 0, shown.output
    text = " ".join(shown.output.split())
    assert "slower since 2026-01-06" in text
    assert bench("show", "--runs", str(tmp_path), "--fail-on", "slower").exit_code == 1
    assert bench("show", "--runs", str(tmp_path), "--fail-on", "slower", "--recent", "2").exit_code == 0
    assert bench("show", "--runs", str(tmp_path), "--fail-on", "slower", "--backend", "eager").exit_code == 0
    typo = bench("show", "--runs", str(tmp_path), "--fail-on", "slower", "--backend", "xlaa")
    assert typo.exit_code not in (0, 1) or isinstance(typo.exception, UsageError)
    assert "its backends are eager, xla" in str(typo.exception)
    data = json.loads(bench("show", "--runs", str(tmp_path), "--json").output)
    assert data["kind"] == "steelyard-history"


def test_without_a_history_it_says_what_makes_one(tmp_path: Path):
    done = bench("show", "--runs", str(tmp_path))
    assert done.exit_code != 0
    assert "bench history add" in str(done.exception)
