"""`bench ci compare`: two commits of a real repository, each really installed, measured in one run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.analysis.withheld import too_noisy
from steelyard.core.errors import UsageError
from steelyard.service import two_commits
from steelyard.store import find_run, open_run

RUNNER = '''
"""A compiler in development, on numpy alone: `compiler_under_test:Mine`."""

from steelyard.selftest.backends import Known


class Mine(Known):
    """Every call takes so long."""

    def __init__(self, context):
        super().__init__(context)
        self.spin_s = {seconds}
'''
PROJECT = """
[build-system]
requires = ["setuptools>=80"]
build-backend = "setuptools.build_meta"

[project]
name = "compiler-under-test"
version = "0.1"

[tool.setuptools]
py-modules = ["compiler_under_test"]
"""


def git(folder: Path, *arguments: str) -> str:
    author = ("-c", "user.name=Someone", "-c", "user.email=someone@invalid")
    command = ["git", "-C", str(folder), *author, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, in which a call takes a millisecond."""
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):  # as in a job of CI
        monkeypatch.setenv(name, os.devnull)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "compiler_under_test.py").write_text(RUNNER.format(seconds=0.001))
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "A call takes 1 ms")
    return folder


def compare(folder: Path, base: str, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "steelyard", "ci", "compare", "--base", base]
    command += ["--backend", "compiler_under_test:Mine", "--suite", "steelyard.selftest.suite:SUITE"]
    command += ["--threads", "1", "--rounds", "4", "--window", "0.2", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=900)


@pytest.mark.alone
@pytest.mark.timeout(900)
def test_a_change_that_makes_it_slower_fails_the_job_though_it_is_not_committed(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "compiler_under_test.py").write_text(RUNNER.format(seconds=0.002))
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    ended = compare(project, "main")
    if withheld := "| withheld |" in ended.stdout:  # others took the machine: once more
        summary.unlink()
        ended = compare(project, "main")
        withheld = "| withheld |" in ended.stdout
    run = open_run(find_run(project / "bench-results", "latest"))
    assert withheld == bool(too_noisy(run)), "only a machine that was too noisy is a reason"
    assert ended.returncode == (0 if withheld else 1), ended.stdout + ended.stderr
    assert ("| slower |" in ended.stdout) != withheld
    assert ("because the machine was too noisy" in ended.stderr) == withheld
    assert summary.read_text() == ended.stdout
    assert ("::error title=slower than main::" in ended.stderr) != withheld
    base, candidate = (name.rpartition("@")[2] for name in run.manifest.environments)
    assert git(project, "rev-parse", "main").startswith(base)
    assert base != candidate
    assert run.manifest.baseline == f"compiler_under_test:Mine@{base}"
    changed = git(project, "status", "--porcelain").splitlines()
    assert [line.strip() for line in changed] == ["M compiler_under_test.py", "?? bench-results/"], (
        "nothing of the repository was touched"
    )
    assert git(project, "worktree", "list").count("\n") == 0


@pytest.mark.full
@pytest.mark.alone
@pytest.mark.timeout(900)
def test_a_change_that_changes_nothing_passes(project: Path) -> None:
    (project / "README.md").write_text("Words\n")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "Words")
    ended = compare(project, "HEAD~1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "slower |" not in ended.stdout


@pytest.mark.timeout(600)
def test_a_change_that_cannot_run_fails_the_job_before_anything_is_measured(project: Path) -> None:
    broken = "def availability(cls, backend, kind):\n        raise RuntimeError('the change broke it')"
    text = RUNNER.format(seconds=0.001) + f"\n    @classmethod\n    {broken}\n"
    (project / "compiler_under_test.py").write_text(text)
    ended = compare(project, "main")
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert "cannot run here, and nothing was measured" in ended.stderr
    assert not list((project / "bench-results").glob("*Z-*"))


def test_without_a_change_there_is_nothing_to_compare(project: Path) -> None:
    with pytest.raises(UsageError, match=r"HEAD is what is here now .* there is no change"):
        two_commits.installed(project, "HEAD", "compiler_under_test:Mine", say=print)


@pytest.mark.parametrize(
    ("base", "message"),
    [("no-such-branch", "no such commit here"), ("--upload-pack=x", "no such commit here|git rev-parse")],
)
def test_a_base_that_is_no_commit_is_told(project: Path, base: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        two_commits.installed(project, base, "compiler_under_test:Mine", say=print)


def test_a_project_that_pip_cannot_install_is_told(project: Path) -> None:
    (project / "pyproject.toml").unlink()
    with pytest.raises(UsageError, match=r"has no pyproject.toml, so that pip cannot install a commit of it"):
        two_commits.installed(project, "main", "compiler_under_test:Mine", say=print)


def test_outside_a_repository_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a git repository"):
        two_commits.installed(tmp_path, "main", "compiler_under_test:Mine", say=print)
