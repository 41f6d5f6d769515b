"""What lies in a bundle, and that it names nobody."""

import getpass
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.artifact import anonymous
from steelyard.artifact.bundle import constraints, contents, written
from steelyard.artifact.readme import readme
from steelyard.core.errors import StoreError, UsageError
from steelyard.service.bundling import write_bundle
from steelyard.store import open_run, privacy, samples
from tests.fakes.runs import llm_points, synthetic_run
from tests.fakes.stored import change_result, mend_hashes, store

TEXT = ("csv", "markdown")  # what is drawn takes seconds


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    run = synthetic_run(
        backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode", effect={"xla": 0.5}
    )
    packages = {"torch": "2.13.0+cpu", "jax": "0.10.2", "absent": {"value": None, "reason": "not installed"}}
    environment = {**run.manifest.environment, "packages": packages}
    run = replace(run, manifest=replace(run.manifest, environment=environment))
    return store(run, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def files(made) -> dict[str, bytes]:
    found = contents(open_run(made), made, {"report.md": b"# a report\n"})
    return {name: item if isinstance(item, bytes) else item.read_bytes() for name, item in found.items()}


def test_it_holds_the_run_its_report_and_what_says_so_in_plain_words(made, files):
    stored = {f"run/{path.relative_to(made)}" for path in made.rglob("*") if path.is_file() and path.name[0] != "."}
    assert set(files) == stored | {
        "report/report.md", "README.md", "plan.json", "environment.json", "constraints.txt", "SHA256SUMS",
    }  # fmt: skip


def test_sums_are_those_of_sha256sum(files, tmp_path):
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    done = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(": OK") == len(files) - 1


def test_pins_are_the_versions_that_ran(made):
    lines = [line for line in constraints(open_run(made)).splitlines() if not line.startswith("#")]
    assert lines == ["jax==0.10.2", "torch==2.13.0+cpu"]


def test_the_page_says_claims_commands_and_badges(made, files):
    page = files["README.md"].decode()
    assert open_run(made).digest in page
    assert re.search(r"\| xla \| eager \| (1\.9|2\.0)\d \[1\.\d+, \d\.\d+\] \| faster \|", page), page
    commands = (f"bench verify {made.name}", f"bench replay {made.name}", "'steelyard[cpu]'")
    for text in (*commands, "Available", "Functional", "Reusable", "reproduced"):
        assert text in page
    for name in ("plan.json", "environment.json", "constraints.txt", "SHA256SUMS"):
        assert name in files
        assert name in page
    assert "every sample against the digest of the process that measured it" in page


def test_the_page_claims_no_digests_that_there_are_not_and_names_the_packages_of_the_device(made):
    run = open_run(made)
    results = tuple(
        replace(item, measurements=tuple(replace(entry, digest="") for entry in item.measurements))
        for item in run.results
    )
    device = replace(run.manifest.device, kind="cuda")
    page = readme(replace(run, results=results, manifest=replace(run.manifest, device=device)))
    assert "digest of the process" not in page
    assert "made no digests of samples" in page
    assert "'steelyard[cuda]'" in page


def test_the_plan_says_what_is_run_again(made, files):
    plan = json.loads(files["plan.json"])
    assert plan["run"] == made.name
    assert plan["backends"] == ["eager", "xla"]
    assert plan["points"] == [case.point.title for case in open_run(made).manifest.cases[:1]]


def test_what_is_written_depends_on_nothing_but_the_run(made, tmp_path):
    copied = Path(shutil.copytree(made, tmp_path / "elsewhere"))
    assert written(open_run(copied)) == written(open_run(made))


def test_packed_twice_it_has_the_same_bytes(made, tmp_path):
    one, other = (write_bundle(made, tmp_path / name, formats=TEXT) for name in ("a.tar.gz", "b.tar.gz"))
    assert one.read_bytes() == other.read_bytes()


def test_a_run_that_does_not_hold_or_still_grows_is_not_packed(made, tmp_path):
    copied = Path(shutil.copytree(made, tmp_path / "copy"))
    (copied / "segment-001.open").mkdir()
    shutil.copy(copied / "segment-000/launches.jsonl", copied / "segment-001.open/journal.jsonl")
    (copied / "segment-001.open/journal.jsonl").write_text("")
    with pytest.raises(StoreError, match="is not published yet"):
        write_bundle(copied, tmp_path / "a.tar.gz", formats=TEXT)
    shutil.rmtree(copied / "segment-001.open")
    change_result(copied, lambda value: value.update(reason="better"))
    with pytest.raises(StoreError, match=r"not packed, as it does not hold: segment-000/results\.jsonl"):
        write_bundle(copied, tmp_path / "a.tar.gz", formats=TEXT)
    assert not (tmp_path / "a.tar.gz").exists()


def test_an_archive_has_the_name_of_one(made, tmp_path):
    with pytest.raises(UsageError, match=r"ends with \.tar\.gz"):
        write_bundle(made, tmp_path / "a.zip")


@pytest.mark.parametrize(
    "text", ["see /home/ada/model", "see /Users/ada/model", r"see C:\Users\ada\model"], ids=["linux", "mac", "windows"]
)
def test_a_home_of_anybody_is_refused_by_file_and_place(made, tmp_path, text):
    copied = Path(shutil.copytree(made, tmp_path / "copy"))
    change_result(copied, lambda value: value.update(log_tail=text), line=3)
    mend_hashes(copied)
    with pytest.raises(StoreError, match=r"run/segment-000/results\.jsonl, line 4: names a machine or its user"):
        write_bundle(copied, tmp_path / "a.tar.gz", formats=TEXT)
    assert write_bundle(copied, tmp_path / "a.tar.gz", anonymous=False, formats=TEXT).exists()


@pytest.mark.parametrize("column", ["launch", "arm", "metric", "layer"])
def test_a_home_among_the_samples_is_refused_by_file_and_column(tmp_path, column):
    path = tmp_path / samples.NAME
    with samples.SampleWriter(path) as writer:
        keys = {**dict.fromkeys(samples.KEYS, "text"), "round": 1}
        writer.add({**keys, column: "/home/ada/mine.py:Runner"}, (1.0,), ())
    with pytest.raises(StoreError, match=rf"run/segment-000/{samples.NAME}, column {column}: names a machine"):
        anonymous.refuse_names({f"run/segment-000/{samples.NAME}": path})


def test_the_names_of_this_machine_are_refused_where_a_text_is_free(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "lovelace")
    privacy._names.cache_clear()
    try:
        line = json.dumps({"reason": "lovelace cannot write", "text": "lovelace wrote"}).encode()
        with pytest.raises(StoreError, match=r"run/a\.jsonl, line 1, reason: names a machine or its user"):
            anonymous.refuse_names({"run/a.jsonl": line})
        anonymous.refuse_names({"run/a.jsonl": b'{"text": "lovelace wrote", "log_tail": "<home>/x <user>"}'})
    finally:
        monkeypatch.undo()
        privacy._names.cache_clear()
