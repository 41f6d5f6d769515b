"""Foreign, newer, damaged and edited files; resuming with a difference; privacy; finding runs."""

import getpass
import json
import os
import pwd
import re
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from steelyard.core.backend import Budget
from steelyard.core.details import Details
from steelyard.core.errors import StoreError, UsageError
from steelyard.store import create_run, find_run, list_runs, new_run_id, open_run, privacy, resume, scrub
from tests.fakes.runs import llm_points, synthetic_run
from tests.store.test_store_round_trip import NOISE, write


@pytest.fixture
def run():
    return synthetic_run(backends=("eager", "xla"), rounds=1, points=llm_points(("decode",)))


def change(path: Path, **fields) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_newer_run_says_so(tmp_path, run):
    path = write(tmp_path, run)
    change(path / "manifest.json", schema_version=7)
    with pytest.raises(StoreError, match=r"manifest\.json: written by a newer steelyard \(schema 7; .* up to 1\)"):
        open_run(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "holds no JSON object"),
        ('{"benchmarks": []}', "it has no schema_version"),
        ('{"schema_version": true}', "it has no schema_version"),
        ('{"schema_version": 1}', "not a valid Manifest.*missing required field"),
        ('{"schema_ver', "not valid JSON"),
        ("\x00\x01", "not valid JSON"),
    ],
)
def test_a_foreign_or_damaged_manifest_is_named(tmp_path, text, message):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(StoreError, match=rf"(?s)manifest\.json: .*{message}"):
        open_run(tmp_path)


def test_a_manifest_whose_baseline_is_no_arm_is_named(tmp_path, run):
    path = write(tmp_path, run)
    change(path / "manifest.json", baseline="nobody")
    with pytest.raises(StoreError, match=r"manifest\.json: .*its baseline is none of its arms"):
        open_run(path)


def test_what_is_not_a_run_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"it has no manifest\.json"):
        open_run(tmp_path)
    with pytest.raises(StoreError, match="there is no such run"):
        open_run(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["results.jsonl", "launches.jsonl", "samples.parquet"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "gone"])
def test_a_damaged_file_is_named(tmp_path, run, name, damage):
    file = write(tmp_path, run) / "segment-000" / name
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        half = len(data) // 2
        file.write_bytes(data[:half] if damage == "truncated" else data[:half] + b"\xff" + data[half + 1 :])
    with pytest.raises(StoreError, match=re.escape(name)):
        open_run(tmp_path / run.manifest.run_id)


def test_an_edited_manifest_is_noticed(tmp_path, run):
    path = write(tmp_path, run)
    change(path / "manifest.json", baseline="xla")
    with pytest.raises(StoreError, match=r"manifest\.json: damaged or edited"):
        open_run(path)


def test_a_path_out_of_a_stored_file_is_not_followed(tmp_path, run):
    path = write(tmp_path, run)
    document = json.loads((path / "segment-000" / "segment.json").read_text())
    change(path / "segment-000" / "segment.json", files={**document["files"], "../../secret": "0" * 64})
    with pytest.raises(StoreError, match="'files' must name exactly"):
        open_run(path)


def test_a_case_that_storing_would_change_is_refused(tmp_path, run):
    home = os.path.expanduser("~")
    case = run.manifest.cases[0]
    point = replace(case.point, axes={**case.point.axes, "model": f"{home}/model"})
    manifest = replace(run.manifest, cases=(replace(case, point=point),))
    with pytest.raises(StoreError, match="does not survive storing"):
        create_run(tmp_path / "runs", manifest)
    assert not (tmp_path / "runs").exists()
    create_run(tmp_path / "runs", run.manifest).close()


def test_resuming_another_experiment_names_every_difference(tmp_path, run):
    path = write(tmp_path, run)
    manifest = run.manifest
    other = replace(
        manifest,
        budget=Budget(threads=4, cpus=(0, 1, 2, 3)),
        environment={**manifest.environment, "packages": {"torch": "9.9"}},
        cases=manifest.cases[:1],
    )
    with pytest.raises(StoreError) as error:
        resume(path, other)
    assert "budget.threads: 2 -> 4" in str(error.value)
    assert 'packages: null -> {"torch":"9.9"}' in str(error.value)
    assert "case xla decode" in str(error.value)
    other = synthetic_run(
        backends=("eager", "xla"), rounds=1, points=llm_points(("decode",)), identity={"weights": "other"}
    ).manifest
    with pytest.raises(StoreError, match=r"identity of configuration .*, weights: "):
        resume(path, other)
    resume(path, replace(manifest, run_id="x", created_utc="later", plan={}, command=("other",))).close()


def test_without_a_home_a_tilde_is_none(monkeypatch):
    """No HOME, and a user id that has no account: `~` stays `~`, and is no path to be hidden."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda number: {}[number])
    privacy._homes.cache_clear()
    try:
        assert scrub("~ 5 ms, below ~/models") == "~ 5 ms, below ~/models"
    finally:
        privacy._homes.cache_clear()


def test_a_stored_run_names_neither_machine_nor_user(tmp_path, run):
    home, user, host = os.path.expanduser("~"), getpass.getuser(), socket.gethostname()
    leak = f"File '{home}/models/x.py' by {user} on {host}: {home}"
    manifest = replace(
        run.manifest,
        command=("bench", "run", "--output", f"{home}/out"),
        left_out=(replace(run.manifest.left_out[0], reason=leak),),
        environment={"note": leak},
    )
    result = replace(
        run.results[0], status="failed", reason=leak, log_tail=leak, details=Details(driver={"path": f"{home}/cache"})
    )
    result = replace(result, proof=replace(result.proof, mismatches=(leak,), details={"library": f"{home}/lib.so"}))
    with create_run(tmp_path, manifest) as writer:
        writer.begin_segment(started_utc="2026-01-01T00:00:00Z", noise=replace(NOISE, evidence=(leak,)))
        writer.result(result)
        names = re.compile(rf"(?<!\w)({re.escape(user)}|{re.escape(host)})(?!\w)|{re.escape(home)}")
        journal = writer.path / "segment-000.open" / "journal.jsonl"
        assert not names.search(journal.read_text())
        writer.finish(ended="rounds", rounds=())
    for file in writer.path.rglob("*"):
        if file.is_file():
            assert not names.search(file.read_bytes().decode(errors="replace")), file
    stored = open_run(writer.path).results[0]
    assert stored.reason == "File '<home>/models/x.py' by <user> on <host>: <home>"
    assert stored.proof.details == {"library": "<home>/lib.so"}


def test_scrub_replaces_whole_words_only():
    user = getpass.getuser()
    assert scrub(f"by {user}.") == "by <user>."
    assert scrub(f"x{user}y {user}s") == f"x{user}y {user}s"


def test_generated_text_is_kept_to_the_letter(tmp_path, run):
    text = f"The {getpass.getuser()} of the tree on {socket.gethostname()}."
    with create_run(tmp_path, run.manifest) as writer:
        writer.begin_segment(started_utc="2026-01-01T00:00:00Z", noise=NOISE)
        writer.result(replace(run.results[0], text=text))
        assert open_run(writer.path).results[0].text == text


def test_run_ids_sort_by_time_and_do_not_repeat():
    ids = [new_run_id("llm", datetime(2026, 1, day, tzinfo=UTC)) for day in (2, 10, 30)]
    assert ids == sorted(ids)
    assert re.fullmatch(r"20260102T000000Z-llm-[0-9a-f]{6}", ids[0])
    assert len({new_run_id("llm") for _ in range(50)}) == 50
    assert "/" not in new_run_id("../my.module:SUITE")


def test_runs_are_found_by_id_prefix_suffix_path_and_latest(tmp_path, run):
    with pytest.raises(UsageError, match="there are no runs here"):
        find_run(tmp_path, "latest")
    for name in ("20260101T000000Z-llm-aaaaaa", "20260201T000000Z-llm-bbbbbb"):
        create_run(tmp_path, replace(run.manifest, run_id=name)).close()
    newest = tmp_path / "20260201T000000Z-llm-bbbbbb"
    assert find_run(tmp_path, "latest") == newest
    assert find_run(tmp_path, "20260201") == newest
    assert find_run(tmp_path, "bbbbbb") == newest
    assert find_run(tmp_path, newest.name) == newest
    assert find_run(Path("elsewhere"), str(newest)) == newest
    with pytest.raises(UsageError, match="fits 2 runs"):
        find_run(tmp_path, "2026")
    with pytest.raises(UsageError, match="did you mean '20260201T000000Z-llm-bbbbbb'"):
        find_run(tmp_path, "20260201T000000Z-llm-bbbbcc")


def test_listing_shows_damaged_runs_with_their_problem(tmp_path, run):
    write(tmp_path, run)
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "manifest.json").write_text("{}")
    good, bad = list_runs(tmp_path)
    assert (good.run_id, good.segments, good.unfinished, good.problem) == (run.manifest.run_id, 1, 0, "")
    assert "no schema_version" in bad.problem
    assert list_runs(tmp_path / "absent") == ()


def test_a_large_run_opens_quickly(tmp_path):
    run = synthetic_run(backends=("eager", "xla", "onnxruntime"), rounds=20)
    path = write(tmp_path, run)
    begun = time.process_time()
    assert open_run(path).results == run.results
    assert time.process_time() - begun < 10, "about 0.3 s of processor time where this was written"
