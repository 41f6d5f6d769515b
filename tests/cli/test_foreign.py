"""A device on which others compute, through the command line: the real NVML binding over the compiled stand-in."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.core.errors import SteelyardError
from tests.fakes.metered_work import PATH, SUITE_PATH
from tests.fakes.nvml import SETTINGS, loaded


def test_a_run_ends_before_anything_is_stored_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pynvml")
    loaded()
    monkeypatch.setenv(SETTINGS, "processes=2")
    command = ["run", "--suite", SUITE_PATH, "--backend", PATH, "--baseline", PATH, "--device", "cuda:0"]
    done = CliRunner().invoke(app, [*command, "--output", str(tmp_path / "runs")])
    assert isinstance(done.exception, SteelyardError), done.output
    told = str(done.exception)
    assert told.startswith("2 other processes compute on cuda:0 (process ids: 1000000, 1000001)")
    assert "--allow-foreign-processes" in told
    assert not (tmp_path / "runs").exists()
