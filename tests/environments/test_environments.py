"""Backends in virtual environments of their own: really made, by pip, and really run beside the others."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard import plugins, wire
from steelyard.core.errors import SteelyardError, UsageError
from steelyard.core.virtual_environment import VirtualEnvironment
from steelyard.engine.probe import probe
from steelyard.environments import kept, made
from steelyard.store import open_run

KNOWN = "steelyard.selftest.backends:Known"
OTHER = f"{KNOWN}@other"
NUMPY = "2.2.6"
"""Not the one of the tested set."""


def bench(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "steelyard", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)


def run(folder: Path, *backends: str, options: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    chosen = [part for name in backends for part in ("--backend", name)]
    suite = ("--suite", "steelyard.selftest.suite:SUITE", "--baseline", backends[0], "--threads", "1")
    quick = ("--quick", "--rounds", "1", "--window", "0.05", "--turns", "off", "--wait", "--no-report")
    return bench(folder, "run", *suite, *chosen, *quick, *options)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to run in, with an environment in a cache of its own."""
    folder = tmp_path_factory.mktemp("environments")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEELYARD_CACHE", str(folder / "cache"))
        made.create(plugins.backend(OTHER), requirements=(f"numpy=={NUMPY}",))
    return folder


@pytest.fixture
def here(other: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STEELYARD_CACHE", str(other / "cache"))
    return other


@pytest.mark.timeout(600)
def test_a_backend_with_another_numpy_runs_beside_the_one_of_bench(here: Path) -> None:
    ended = run(here, KNOWN, OTHER)
    assert ended.returncode == 0, ended.stderr
    (folder,) = (here / "bench-results").glob("*Z-*")
    stored = open_run(folder)
    versions = {result.arm: result.proof.versions["numpy"] for result in stored.results if result.proof is not None}
    assert versions[OTHER] == NUMPY
    assert versions[KNOWN] != NUMPY, "the backend of bench itself keeps its own"
    assert stored.manifest.environments[OTHER].packages["numpy"] == NUMPY
    assert "torch" not in stored.manifest.environments[OTHER].packages, "a launch needs no more than its runtime"
    shown = bench(here, "report", folder.name, "--format", "csv", "--output", str(here / "report"))
    assert shown.returncode == 0, shown.stderr
    text = "".join(path.read_text() for path in (here / "report").rglob("*.csv"))
    assert f"environment of {OTHER}" in text

    record = kept.folder_of(plugins.backend(OTHER)) / kept.RECORD
    before = record.read_text()
    record.write_text(before.replace(f'"numpy":"{NUMPY}"', '"numpy":"2.2.7"'))
    refused = bench(here, "run", "--resume", "latest", "--rounds", "1", "--wait", "--no-report")
    record.write_text(before)
    assert refused.returncode == 2
    assert f"environment.{OTHER}.packages.numpy" in refused.stderr


@pytest.mark.timeout(600)
def test_options_stand_behind_the_environment_and_share_it(here: Path) -> None:
    ended = run(here, f"{OTHER}[sleep=0.001]", f"{OTHER}[sleep=0.002]", options=("--json",))
    assert ended.returncode == 0, ended.stderr
    assert len(kept.every()) == 1


def test_the_same_packages_are_there_when_it_is_checked_and_a_changed_one_is_named(here: Path) -> None:
    spec = plugins.backend(OTHER)
    assert made.differences(spec) == []
    assert bench(here, "env", "check").stdout == f"{OTHER}: as it was made\n"
    record = kept.folder_of(spec) / kept.RECORD
    before = record.read_text()
    record.write_text(before.replace(f'"numpy":"{NUMPY}"', '"numpy":"2.2.7"'))
    try:
        assert made.differences(spec) == [f"numpy is {NUMPY}, and was 2.2.7"]
        checked = bench(here, "env", "check")
        assert checked.returncode == 1
        assert f"{OTHER}: numpy is {NUMPY}, and was 2.2.7" in checked.stdout
    finally:
        record.write_text(before)


def test_it_is_listed_and_locked(here: Path) -> None:
    (listed,) = json.loads(bench(here, "env", "list", "--json").stdout)["environments"]
    assert listed["backend"] == OTHER
    assert listed["requirements"] == [f"numpy=={NUMPY}"]
    lock = bench(here, "env", "lock", OTHER).stdout.splitlines()
    assert f"numpy=={NUMPY}" in lock
    assert all("==" in line for line in lock)
    assert not any(line.startswith("steelyard") for line in lock), "bench env create puts it in itself"


def test_a_lock_tells_what_came_from_a_commit() -> None:
    found = VirtualEnvironment(python="3.11.7", packages={"numpy": "2.3.0", "mine": "1.0 (abcdef012345)"})
    assert found.lock == "numpy==2.3.0\n# mine 1.0, commit abcdef012345\n"


@pytest.mark.parametrize(
    ("line", "unmet"),
    [
        ("numba 0.61.0 has requirement numpy<2.2,>=1.24, but you have numpy 2.3.0.", True),
        ("numba 0.61.0 requires llvmlite, which is not installed.", True),
        ("No broken requirements found.", False),
    ],
)
def test_packages_that_do_not_go_together_are_known_by_what_pip_says(line: str, unmet: bool) -> None:
    assert bool(made._UNMET.search(line)) == unmet


@pytest.mark.timeout(600)
def test_modules_of_the_shell_do_not_reach_into_an_environment(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise RuntimeError('the shell says where numpy is')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert made.differences(plugins.backend(OTHER)) == []
    assert probe([OTHER], "cpu")[OTHER].available


def test_what_lies_there_under_the_name_of_a_version_is_held_against_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(made, "create", lambda backend, **how: asked.append((backend.text, how["requirements"])))
    spec = plugins.backend(KNOWN)
    monkeypatch.setattr(plugins.runner(spec.runner), "requirements", ("numpy",))
    made.at_version(spec, "9.9.9")
    made.at_version(spec, "other")  # it is there, and holds another version than its name
    assert asked == [(f"{KNOWN}@9.9.9", ("numpy==9.9.9",)), (OTHER, ("numpy==other",))]


def test_it_is_not_made_twice_by_accident(here: Path) -> None:
    with pytest.raises(UsageError, match="is here already; make it again with --anew"):
        made.create(plugins.backend(OTHER), requirements=("numpy",))


def test_one_of_another_version_of_this_project_cannot_serve(here: Path) -> None:
    spec = plugins.backend(OTHER)
    record = kept.folder_of(spec) / kept.RECORD
    before = record.read_bytes()
    found = wire.decode(before, kept.Environment, "test")
    try:
        record.write_bytes(before.replace(f'"steelyard":"{found.steelyard}"'.encode(), b'"steelyard":"0.0.0"'))
        answer = probe([OTHER], "cpu")[OTHER]
        assert not answer.available
        assert f"holds steelyard 0.0.0, and this is {found.steelyard}" in answer.reason
        assert f"bench env create {OTHER} --anew" in answer.reason
    finally:
        record.write_bytes(before)


def test_one_that_is_not_there_makes_its_backend_unavailable_and_says_the_command(here: Path) -> None:
    answers = probe([f"{KNOWN}@absent", KNOWN], "cpu")
    assert answers[KNOWN].available
    assert answers[f"{KNOWN}@absent"].reason == (
        f"there is no environment {KNOWN}@absent here; make it: bench env create {KNOWN}@absent"
    )


def test_what_cannot_be_installed_leaves_nothing_behind(here: Path) -> None:
    spec = plugins.backend(f"{KNOWN}@broken")
    with pytest.raises(SteelyardError, match=r"installing its packages failed .*\n(.*\n)*.*steelyard-no-such-package"):
        made.create(spec, requirements=("steelyard-no-such-package==1",))
    assert not kept.folder_of(spec).exists()
    assert not kept.remove(spec)


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        (f"{KNOWN}@1.0", "names no requirements: say what to install with --with PACKAGE"),
        ("onnxruntime@nightly", "'nightly' is no version of onnxruntime: say what to install"),
        ("onnxruntime@../up", "is not of the form"),
    ],
)
def test_what_is_not_said_is_asked_for(here: Path, backend: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        made.create(plugins.backend(backend))


def test_without_a_name_the_newest_version_is_asked_for(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    run = made._run
    monkeypatch.setattr(made, "_run", lambda command, what: commands.append(command) or run(command, what))
    monkeypatch.setattr(made, "_of_launch", list)
    monkeypatch.setattr(made, "package_of", lambda text: "steelyard-no-such-package")
    with pytest.raises(SteelyardError, match="installing its packages failed"):
        made.create(plugins.backend("iree"))
    assert kept.folder_of(plugins.backend("iree@latest")).name in commands[0][-1]
    assert {"steelyard-no-such-package", "--upgrade"} <= {*commands[-1]}, "the newest, whatever lies beneath"
    assert not any("=={version}" in part for part in commands[-1])
    with pytest.raises(UsageError, match="names no environment: write onnxruntime@NAME"):
        kept.find(plugins.backend("onnxruntime"))


def test_what_lies_beneath_is_seen_and_what_is_its_own_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    spec = plugins.backend(f"{KNOWN}@inherits")
    found = made.create(spec, requirements=(f"numpy=={NUMPY}",), inherits=True).found
    assert found.inherits
    assert found.packages["numpy"] == NUMPY
    assert "torch" in found.packages
    own = {path.name for path in kept.folder_of(spec).glob("lib/*/site-packages/*")}
    assert "torch" not in own, "nothing large is installed twice"
