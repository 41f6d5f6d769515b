"""Steps of lowering that kill the process: they fail by that, all others are made, and nothing is made twice."""

import signal
from pathlib import Path

import pytest

from steelyard.core.errors import LoweringError
from steelyard.core.workload import Selection
from steelyard.engine.lower import lower_points
from tests.fakes import deadly_suite, small_suite

pytestmark = pytest.mark.backends


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_a_step_that_kills_the_process_fails_and_all_others_are_made() -> None:
    said: list[str] = []
    chosen = deadly_suite.points(Selection(device_kind="cpu"))
    found, failed = lower_points(
        chosen, ("module", "onnx", "pt2"), weights_dir=None, device_kind="cpu", say=said.append
    )
    deadly, harmless = (found[point.key].programs["main"] for point in chosen[:2])
    assert set(harmless.artifacts) == {"onnx", "pt2"}
    assert not deadly.artifacts
    assert {form: reason.rpartition(": ")[2] for form, reason in deadly.failures.items()} == dict.fromkeys(
        ("onnx", "pt2"), "the process that made it ended with SIGFPE"
    )
    (failure,) = failed.values()
    assert failure.point == chosen[2].key
    assert failure.reason.endswith("ended with SIGABRT")
    assert sum("lowering ended with SIG" in line for line in said) == 3
    made = [
        line.partition(": ")[2].rpartition(" (")[0] for line in said if line.startswith("lowering ") and " (" in line
    ]
    assert len(set(made)) == len(made), "what was made before a death is not made again"


def test_a_process_that_dies_of_no_step_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from steelyard.engine import lower

    dies = lambda *_: ["sh", "-c", f"kill -{int(signal.SIGSEGV)} $$"]  # noqa: E731
    monkeypatch.setattr(lower, "module_command", dies)
    chosen = small_suite.points(Selection(device_kind="cpu"))
    with pytest.raises(LoweringError, match="lowering ended with SIGSEGV: it said nothing"):
        lower_points(chosen, ("onnx",), weights_dir=None, device_kind="cpu", say=lambda _: None)
