"""A run that was really measured: verified, packed, run again elsewhere, its claims judged."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.core.errors import StoreError
from steelyard.service import running
from steelyard.service.bundling import write_bundle
from steelyard.store import find_run, list_runs, open_run
from tests.cli.test_run import ROOT, SUITE, env
from tests.fakes.numpy_work import PATH
from tests.fakes.stored import change_sample, mend_hashes, more_rounds, store

FAST, SLOW = f"{PATH}[sleep=0.001]", f"{PATH}[sleep=0.002]"


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def bench(cache: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "steelyard", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=env(cache), capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def measured(cache, tmp_path_factory) -> Path:
    """A stored run of the small suite: the cold round and one more."""
    output = tmp_path_factory.mktemp("there")
    done = bench(cache, "run", "--suite", SUITE, "--workload", "wide", "--baseline", FAST, "--backend", SLOW,
                 "--rounds", 1, "--window", 0.03, "--no-report", "--output", output)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return find_run(output, "latest")


@pytest.fixture(scope="module")
def claiming(measured, tmp_path_factory) -> Path:
    """The same plan with eight quiet rounds, in which one backend takes three times as long."""
    return store(more_rounds(open_run(measured), 8, {FAST: 1.0, SLOW: 3.0}), tmp_path_factory.mktemp("claiming"))


@pytest.fixture(scope="module")
def packed(claiming, tmp_path_factory) -> Path:
    return write_bundle(claiming, tmp_path_factory.mktemp("bundle") / "b.tar.gz", formats=("markdown",))


def test_workers_seal_what_they_measure_and_a_mended_hash_is_told(measured, tmp_path):
    entries = [entry for result in open_run(measured).results for entry in result.measurements]
    assert entries
    assert all(entry.digest for entry in entries)
    path = Path(shutil.copytree(measured, tmp_path / measured.name))
    told = CliRunner().invoke(app, ["verify", str(path)])
    assert told.exit_code == 0, told.stdout
    assert f"{len(entries)} of them with the worker's digest" in told.stdout
    change_sample(path, lambda value: value - 1e-9, row=0)
    assert "segment-000/samples.parquet" in CliRunner().invoke(app, ["verify", str(path)]).stdout
    mend_hashes(path)
    told = CliRunner().invoke(app, ["verify", str(path)])
    assert told.exit_code == 1
    assert "the samples are not those that the worker measured" in told.stdout


def test_a_bundle_is_run_again_and_its_claims_are_judged(cache, packed, tmp_path):
    done = bench(cache, "replay", packed, "--trust", "--rounds", 1, "--output", tmp_path / "here", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (entry,) = list_runs(tmp_path / "here")
    assert (document["kind"], document["run_id"]) == ("steelyard-replay", entry.run_id)
    replayed = open_run(entry.path)
    assert [arm.label for arm in replayed.manifest.arms] == [FAST, SLOW, f"{FAST} (control)"]
    assert {case.point.workload for case in replayed.manifest.cases} == {"wide"}
    (claim,) = document["claims"]
    assert (claim["said"], claim["outcome"]) == ("slower", "undecided")
    assert claim["ratio"]["interval"] is not None
    assert claim["reason"].startswith(("inconclusive: ", "withheld: "))


@pytest.mark.parametrize(("effect", "code", "said"), [(1.5, 0, "1 held"), (0.25, 1, "1 not held")])
def test_the_exit_code_says_whether_a_claim_was_contradicted(
    claiming, measured, tmp_path, monkeypatch, effect, code, said
):
    here = store(more_rounds(open_run(measured), 8, {FAST: 1.0, SLOW: effect}), tmp_path)
    monkeypatch.setattr(running, "run_plan", lambda *_, **__: running.StoredOutcome(here, "sound"))
    done = CliRunner().invoke(app, ["replay", str(claiming), "--trust"], catch_exceptions=False)
    assert done.exit_code == code, done.output
    assert said in done.stdout


def test_a_dry_run_says_the_plan_and_what_differs_and_measures_nothing(cache, packed, tmp_path):
    done = bench(cache, "replay", packed, "--trust", "--cpus", 0, "--output", tmp_path / "here", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "estimate: " in done.stdout
    assert re.search(r"not as in \S+: budget\.cpus: ", done.stdout) or len(os.sched_getaffinity(0)) == 1
    assert not (tmp_path / "here").exists()


def test_code_of_its_own_is_not_used_unless_trusted(cache, packed, tmp_path):
    done = bench(cache, "replay", packed, "--output", tmp_path / "here")
    assert done.returncode == 2
    assert "the suite is code of its own" in done.stderr
    assert "--trust" in done.stderr


def test_a_bundle_that_does_not_hold_is_not_run(measured, tmp_path):
    path = Path(shutil.copytree(measured, tmp_path / measured.name))
    change_sample(path, lambda value: value * 0.5, row=0)
    with pytest.raises(StoreError, match="does not hold"):
        CliRunner().invoke(app, ["replay", str(path)], catch_exceptions=False)
    with pytest.raises(StoreError, match="not a bundle"):
        CliRunner().invoke(app, ["replay", str(tmp_path / "nothing.txt")], catch_exceptions=False)
