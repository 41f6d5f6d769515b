"""`bench ci nightly`: a change of level is measured again, old version and new in turns, before it is an alarm."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from steelyard.analysis.withheld import too_noisy
from steelyard.history import record
from steelyard.history.nights import Night, nights_of
from steelyard.store import open_run
from tests.fakes.versioned import OLD

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]
OPTIONS = ("--suite", "steelyard.selftest.suite:SUITE", "--threads", "1", "--window", "0.1", "--wait")


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "steelyard", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)


def nightly(backend: str, output: Path) -> "subprocess.CompletedProcess[str]":
    options = ("--backend", backend, "--baseline", backend, "--quick", "--rounds", "1", "--turns", "on")
    places = ("--output", str(output), "--issues", str(output.parent / "issues"))
    return bench("ci", "nightly", "--confirm", "2m", *places, *OPTIONS, *options)


def faked(night: Night, number: int, value: float, numpy: str) -> Night:
    day = f"2026-01-{number:02d}"
    return replace(
        night,
        run=f"{day}-made-up",
        created_utc=f"{day}T00:00:00+00:00",
        value=value,
        stack={**night.stack, "numpy": numpy},
    )


def history(backend: str, output: Path, before: str) -> None:
    """Six nights at half of tonight's time with `before`, and two at tonight's with the version of tonight."""
    ended = nightly(backend, output)
    assert ended.returncode == 0, ended.stderr
    assert "No series became slower." in ended.stdout
    file = output / record.NAME
    now = record.read(file)
    file.unlink()
    for night in now:
        assert night.value is not None
        record.append(file, [faked(night, number, night.value / 2, before) for number in range(1, 7)])
        record.append(file, [faked(night, number, night.value, np.__version__) for number in range(7, 9)])


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "code", "outcome"),
    [("Versioned", 1, "confirmed"), pytest.param("Alike", 0, "refuted", marks=pytest.mark.full)],
    ids=["slower", "alike"],
)
def test_old_and_new_version_are_measured_again_before_it_is_an_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int, outcome: str
) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    backend = f"tests.fakes.versioned:{name}"
    history(backend, tmp_path / "runs", OLD)
    ended = nightly(backend, tmp_path / "runs")
    runs = sorted((tmp_path / "runs").glob("*Z-*"))
    confirming = open_run(runs[-1])
    if too_noisy(confirming):  # others took the machine: nothing is confirmed then
        code, outcome = 0, "undecided"
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert f"| {outcome}: {backend}@{OLD} against {backend}: " in ended.stdout
    issues = [file.read_text() for file in (tmp_path / "issues").glob("*.md")]
    assert [text.startswith(f"slower: {backend}, ") for text in issues] == [True] * code
    assert confirming.manifest.environments[f"{backend}@{OLD}"].packages["numpy"] == OLD
    assert confirming.manifest.baseline == f"{backend}@{OLD}"
    assert list(nights_of(confirming)), "it is a run like any other"


@pytest.mark.timeout(600)
def test_what_no_version_explains_belongs_to_the_machine_and_is_no_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    backend = "tests.fakes.versioned:Versioned"
    history(backend, tmp_path / "runs", np.__version__)
    ended = nightly(backend, tmp_path / "runs")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "not repeatable: no version of its runtime changed: look at the machine" in ended.stdout
