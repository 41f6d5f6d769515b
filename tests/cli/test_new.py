"""`bench new`: what it writes works at once, is clean, and overwrites nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.new.skeleton import SKELETONS, next_commands
from tests.fakes.stored import store

REPOSITORY = Path(__file__).parents[2]
EACH = pytest.mark.parametrize("kind", SKELETONS)


def new(*arguments: str):
    return CliRunner().invoke(app, ["new", *arguments])


def refusal(*arguments: str) -> str:
    done = new(*arguments)
    assert done.exit_code
    return str(done.exception)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # a command appends the working directory
    return tmp_path


def run(place: Path, *words: str, **environment: str) -> str:
    """A command that must succeed, as a user types it in the folder; what it printed."""
    folder = Path(sys.executable).parent
    env = {**os.environ, "STEELYARD_CACHE": str(place / ".cache"), **environment}
    done = subprocess.run(
        [str(folder / words[0]), *words[1:]], cwd=place, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@EACH
def test_it_says_what_was_written_and_what_to_type_next(kind: str, place: Path) -> None:
    done = new(kind, "zz_own")
    assert done.exit_code == 0, done.output
    files = [f"zz_own{SKELETONS[kind].ending}", "test_zz_own.py"]
    assert done.stdout.splitlines() == [
        *(f"wrote {name}" for name in files),
        "",
        "next:",
        *(f"  {command}" for command in next_commands(kind, "zz_own")),
    ]
    assert sorted(path.name for path in place.iterdir()) == sorted(files)
    assert all("$" not in (place / name).read_text() for name in files)
    assert "CHANGE" in (place / files[0]).read_text()


@EACH
def test_it_is_clean_by_the_rules_of_ruff_and_of_this_house(kind: str, place: Path) -> None:
    new(kind, "zz_own")
    for options in (["--isolated"], ["--config", str(REPOSITORY / "pyproject.toml")]):
        run(place, "ruff", "check", "--no-cache", *options, ".")
        run(place, "ruff", "format", "--no-cache", "--check", *options, ".")


@pytest.mark.backends
@EACH
def test_its_test_passes_at_once(kind: str, place: Path) -> None:
    new(kind, "zz_own")
    assert " passed" in run(place, "pytest", "-p", "no:cacheprovider", "test_zz_own.py")


@pytest.mark.full
@pytest.mark.backends
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("suite", "--suite zz_own:SUITE --backend eager,onnxruntime"),
        ("driver", "--suite zz_own:SUITE --backend eager,onnxruntime"),
        ("runner", "--suite vision --workload resnet50 --backend eager,zz_own:Compiler"),
    ],
)
def test_it_runs_beside_other_backends(kind: str, options: str, place: Path) -> None:
    """One warm round, and every case is ok: any other outcome is exit code 3."""
    new(kind, "zz_own")
    short = ["--size", "tiny", "--rounds", "1", "--window", "0.05", "--no-energy"]
    run(place, "bench", "run", *options.split(), *short)
    (report,) = place.glob("bench-results/*/report/report.md")
    assert options.rpartition(",")[2] in report.read_text().replace("\\_", "_")
    assert "everything was traced" in run(place, "bench", "verify", "latest")


def test_a_report_is_written_by_its_module_and_verified(place: Path) -> None:
    from tests.fakes.runs import llm_points, synthetic_run

    points = llm_points(("decode",))
    stored = store(synthetic_run(backends=("eager", "xla"), points=points, headline="decode"), place / "runs")
    new("report", "zz_own")
    told = run(place, "bench", "report", str(stored), "--format", "zz_own:REPORT")
    assert told == f"zz_own: {stored}/report/zz_own.txt\n"
    assert "Backend: xla; Latency [ms]: " in (stored / "report/zz_own.txt").read_text()
    assert "zz_own.txt" not in run(place, "bench", "verify", str(stored), "--runs", str(place / "runs"))
    assert "module 'zz_own' has no attribute 'NONE'" in refusal_of(place, "report", str(stored), "--format=zz_own:NONE")


def refusal_of(place: Path, *words: str) -> str:
    command = [sys.executable, "-m", "steelyard", *words]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout
    return done.stderr


def test_a_profile_is_that_of_the_device_that_is_here(place: Path) -> None:
    new("profile", "zz_own")
    told = run(place, "bench", "hardware", STEELYARD_PROFILES="zz_own.toml")
    assert "declared: zz_own" in told


def test_another_folder_is_made_and_named(place: Path) -> None:
    done = new("suite", "zz_own", "--folder", "a folder")
    assert done.stdout.splitlines()[:5] == [
        "wrote a folder/zz_own.py",
        "wrote a folder/test_zz_own.py",
        "",
        "next:",
        "  cd 'a folder'",
    ]
    assert (place / "a folder/zz_own.py").is_file()


@pytest.mark.parametrize("there", ["zz_own.py", "test_zz_own.py"])
def test_nothing_is_overwritten(there: str, place: Path) -> None:
    (place / there).write_text("mine")
    assert f"{there} exists, and nothing was written" in refusal("suite", "zz_own")
    assert [(path.name, path.read_text()) for path in place.iterdir()] == [(there, "mine")]


@pytest.mark.parametrize("name", ["my-net", "1st", "class", "a.b", "../up", "", "naïve"])
def test_a_name_that_python_cannot_import_is_refused(name: str, place: Path) -> None:
    assert f"'{name}' cannot be the name of a Python module" in refusal("suite", name)
    assert not [*place.iterdir()]


@pytest.mark.parametrize("name", ["json", "sys", "numpy", "steelyard", "__main__"])
def test_a_name_that_is_a_module_is_refused(name: str, place: Path) -> None:
    assert f"'{name}' is a module already" in refusal("runner", name)


def test_a_package_of_that_name_in_the_folder_is_seen(place: Path) -> None:
    (place / "sub/zz_own").mkdir(parents=True)
    assert new("suite", "zz_own", "--folder", "sub").exit_code == 0  # a folder of data is no module
    (place / "sub/zz_other").mkdir()
    (place / "sub/zz_other/__init__.py").touch()
    assert "zz_other/__init__.py), which would be imported" in refusal("suite", "zz_other", "--folder", "sub")


@pytest.mark.parametrize(
    ("kind", "name"), [("suite", "llm"), ("runner", "eager"), ("driver", "call"), ("report", "csv")]
)
def test_a_name_that_is_registered_is_refused(kind: str, name: str, place: Path) -> None:
    assert f"the {kind} '{name}' is there already" in refusal(kind, name)


def test_an_unknown_kind_is_told_the_known_ones(place: Path) -> None:
    assert "did you mean 'suite'" in refusal("suit", "zz_own")


def test_a_folder_that_cannot_be_written_is_named(place: Path) -> None:
    (place / "file").touch()
    assert "file/sub: cannot be written: Not a directory" in refusal("suite", "zz_own", "--folder", "file/sub")
