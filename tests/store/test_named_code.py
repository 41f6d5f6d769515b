"""A stored run that names a module: nothing of it is imported unless the user chose it."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.core.errors import StoreError
from steelyard.lowering import named_drivers
from steelyard.store import open_run
from tests.fakes.runs import synthetic_run
from tests.fakes.stored import store

DRIVER = "foreign_helper:DRIVER"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a run that names a module of the same folder, which leaves a mark where it is imported."""
    (tmp_path / "foreign_helper.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('imported').touch()\n"
        "from steelyard.drivers.call import DRIVER\n"
    )
    run = synthetic_run(backends=("eager", "xla"), rounds=4)
    cases = tuple(
        replace(case, point=replace(case.point, driver=DRIVER)) if case.point.driver == "call" else case
        for case in run.manifest.cases
    )
    renamed = {old.id: new.id for old, new in zip(run.manifest.cases, cases, strict=True)}
    results = tuple(replace(result, case_id=renamed[result.case_id]) for result in run.results)
    store(replace(run, manifest=replace(run.manifest, cases=cases), results=results), tmp_path / "runs")
    return tmp_path


def bench(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "steelyard", *arguments]
    return subprocess.run(
        command, cwd=place, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "arguments",
    [("show", "latest", "--runs", "runs"), ("report", "latest", "--runs", "runs", "--format", "csv"),
     ("verify", "runs/{}"), ("replay", "--dry-run", "runs/{}"), ("compare", "latest", "--runs", "runs")],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_reading_it_imports_nothing_and_says_what_to_do(place: Path, arguments: tuple[str, ...]) -> None:
    (run,) = (path.name for path in (place / "runs").iterdir() if path.is_dir())
    done = bench(place, *(argument.format(run) for argument in arguments))
    assert done.returncode != 0
    told = " ".join((done.stdout + done.stderr).split())
    assert f"calls are made by '{DRIVER}'" in told
    assert f"STEELYARD_DRIVERS={DRIVER}" in told
    assert not (place / "imported").exists()


def test_a_driver_that_the_user_names_is_used(place: Path) -> None:
    done = bench(place, "show", "latest", "--runs", "runs", STEELYARD_DRIVERS=f"mine:D,{DRIVER}")
    assert done.returncode == 0, done.stderr
    assert (place / "imported").exists()


def test_what_the_user_has_run_is_known_again_by_its_bytes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = (path for path in (place / "runs").iterdir() if path.is_dir())
    monkeypatch.setenv("STEELYARD_CACHE", str(place / "cache"))
    monkeypatch.syspath_prepend(place)
    with pytest.raises(StoreError, match="nothing that a stored run names is imported"):
        open_run(path)
    named_drivers.permit(DRIVER)
    monkeypatch.setattr(named_drivers, "_permitted", set())  # as in another process
    assert open_run(path)
    with (place / "foreign_helper.py").open("a") as file:
        file.write("# another file\n")
    with pytest.raises(StoreError, match="nothing that a stored run names is imported"):
        open_run(path)
