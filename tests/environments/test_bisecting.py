"""The first slow version: found by halving, with runs of real commits."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.service import bisecting, two_commits
from tests.environments.test_two_commits import RUNNER, git, project  # noqa: F401 (a fixture)


@given(count=st.integers(min_value=2, max_value=500), data=st.data())
def test_the_first_slow_one_is_found_in_few_steps(count: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(min_value=1, max_value=count - 1))
    asked: list[int] = []

    def judge(number: int) -> str:
        asked.append(number)
        return "slower" if number >= first else data.draw(st.sampled_from(["equivalent", "faster"]))

    assert bisecting.first_slow(count, judge) == (first, "")
    assert len(asked) == len(set(asked)) <= count.bit_length() + 1


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ({9: "equivalent"}, "the bad one is not slower"),
        ({9: "withheld"}, "the bad one could not be decided (withheld)"),
        ({9: "slower", 4: "inconclusive"}, "a step could not be decided (inconclusive): give it more --time"),
    ],
)
def test_what_cannot_be_decided_ends_the_search(verdicts: dict[int, str], said: str) -> None:
    assert bisecting.first_slow(10, verdicts.__getitem__) == (None, said)


@pytest.mark.full
@pytest.mark.alone
@pytest.mark.timeout(900)
def test_the_commit_that_made_it_slower_is_found(project: Path) -> None:  # noqa: F811
    for number, seconds in enumerate((0.001, 0.002, 0.002), start=1):
        (project / "compiler_under_test.py").write_text(f"{RUNNER.format(seconds=seconds)}# {number}\n")
        git(project, "commit", "--quiet", "-a", "-m", f"Change {number}")
    slow = git(project, "rev-parse", "HEAD~1")
    command = [sys.executable, "-m", "steelyard", "ci", "bisect", "--good", "HEAD~3", "--bad", "HEAD"]
    command += ["--backend", "compiler_under_test:Mine", "--suite", "steelyard.selftest.suite:SUITE"]
    command += ["--threads", "1", "--rounds", "4", "--window", "0.2"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"first slow: {slow[:12]}; the last before it: ")


def test_commits_that_do_not_follow_each_other_are_told(project: Path) -> None:  # noqa: F811
    git(project, "commit", "--quiet", "--allow-empty", "-m", "Later")
    with pytest.raises(UsageError, match="HEAD is not an earlier commit on the way to HEAD~1"):
        two_commits.between(project, "HEAD", "HEAD~1")


def test_the_released_versions_of_a_runtime_are_those_of_the_index() -> None:
    spec = plugins.backend("onnxruntime")
    found = bisecting._versions(spec, "1.24.1", "1.26.0")
    assert found[0] == "1.24.1"
    assert found[-1] == "1.26.0"
    assert "1.25.0" in found


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("1.26.0", "1.24.1", "are not two released versions of onnxruntime, the good one first"),
        ("1.24.99", "1.26.0", "are not two released versions"),
        ("fast", "1.26.0", "--good and --bad are versions of onnxruntime"),
    ],
)
def test_what_is_no_version_is_told(good: str, bad: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        bisecting._versions(plugins.backend("onnxruntime"), good, bad)
