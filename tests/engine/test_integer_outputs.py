"""A program of whole numbers: a right one is no fallback, and one that destroys its inputs is found."""

import os
import time
from pathlib import Path

import pytest

from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.lowered import LoweredPoint
from steelyard.core.result import Result
from steelyard.core.workload import Selection
from steelyard.engine.launch import run_launch
from steelyard.engine.lower import lower_points
from steelyard.engine.plan import DEFAULT_TIMEOUTS
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from tests.fakes.integer_suite import points

pytestmark = pytest.mark.backends


@pytest.fixture(scope="module")
def lowered(tmp_path_factory: pytest.TempPathFactory) -> LoweredPoint:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path(__file__).parents[2])
        patch.setenv("STEELYARD_CACHE", str(tmp_path_factory.mktemp("cache")))
        found, failed = lower_points(
            points(Selection(device_kind="cpu")), ("onnx",), weights_dir=None, device_kind="cpu", say=lambda _: None
        )
    assert failed == {}
    (point,) = found.values()
    return point


def launch(lowered: LoweredPoint, folder: Path, backend: str, *, steady: bool) -> Result:
    """One launch; a steady one has ten timed calls."""
    request = LaunchRequest(
        launch=f"integer-{os.getpid()}/{steady}",
        arm=backend,
        round=int(steady),
        position=0,
        backend=parse_backend(backend),
        device=Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
        budget=Budget(threads=1, cpus=(min(os.sched_getaffinity(0)),)),
        compile_cache=str(folder / "cache"),
        scratch=str(folder / "scratch"),
        seed=3,
        steady=steady,
        cases=(CaseRequest(case_id="one", lowered=lowered, pace=Pace(seconds=0, minimum=10, maximum=10, cap_s=10)),),
    )
    (result,) = run_launch(request, origin_s=time.monotonic(), timeouts=DEFAULT_TIMEOUTS).results
    return result


def test_onnxruntime_is_no_fallback_where_its_ends_are_integers(lowered, tmp_path) -> None:
    result = launch(lowered, tmp_path, "onnxruntime", steady=True)
    assert (result.status, result.reason) == ("ok", "")
    assert result.proof is not None
    assert result.proof.dtype == "not told"


def test_inputs_that_a_backend_destroys_are_found_in_the_cold_round(lowered, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    result = launch(lowered, tmp_path, "torch_compile:tests.fakes.integer_suite:zeroing", steady=False)
    assert result.status == "incorrect"
    assert "best: left alone, its inputs give another answer: they were changed" in result.reason
