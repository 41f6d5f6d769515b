"""The fixture `steelyard_case`, as a project that has steelyard installed uses it: in a pytest of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.pytest_plugin import Inconclusive, _judge
from tests.fakes.numpy_work import PATH

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]
TESTS = f'''
import time

import pytest


def wait(seconds):
    return lambda: time.sleep(seconds)


def test_twice_as_long(steelyard_case):
    steelyard_case.not_slower(wait(0.002), than=wait(0.001), window_s=0.05)


def test_half_as_long(steelyard_case):
    answer = steelyard_case.not_slower(wait(0.001), than=wait(0.002), window_s=0.05)
    assert answer.verdict == "faster"


def test_too_few_rounds(steelyard_case):
    with pytest.raises(ValueError, match="3 rounds can give no verdict"):
        steelyard_case.not_slower(wait(0.001), than=wait(0.001), window_s=0.05, rounds=3)


def test_beside_pytest_benchmark(benchmark, steelyard_case):
    benchmark(wait(0.0))
    steelyard_case.not_slower(wait(0.001), than=wait(0.002), window_s=0.05, rounds=4)


def test_a_slower_backend(steelyard_case):
    steelyard_case.backend_not_slower(
        "{PATH}[sleep=0.004]", than="{PATH}", suite="tests.fakes.small_suite:SUITE", rounds=4, window=0.1, threads=1,
        strict=True,  # on a machine that is too noisy the verdict is withheld
    )
'''


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("project")
    (folder / "test_speed.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rA", "test_speed.py"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder), "COLUMNS": "400"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("name", ["half_as_long", "too_few_rounds", "beside_pytest_benchmark"])
def test_what_is_not_slower_passes(output: str, name: str) -> None:
    assert f"PASSED test_speed.py::test_{name}\n" in output, output


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("twice_as_long", "times as long as the other"),
        ("a_slower_backend", "NumpyRunner[sleep=0.004]"),
    ],
)
def test_what_is_slower_fails_and_says_by_how_much(output: str, name: str, said: str) -> None:
    lines = [line for line in output.splitlines() if line.startswith(f"FAILED test_speed.py::test_{name} ")]
    assert len(lines) == 1, output
    assert said in lines[0], output


def test_what_is_undecided_passes_with_a_warning_unless_an_answer_is_asked_for() -> None:
    with pytest.warns(Inconclusive, match="too noisy"):
        _judge("inconclusive", "too noisy", strict=False)
    with pytest.raises(pytest.fail.Exception, match="too noisy"):
        _judge("inconclusive", "too noisy", strict=True)
    _judge("equivalent", "", strict=True)
