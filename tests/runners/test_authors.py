"""What authors of suites and passes write, through real launches: a bare tensor, types, -inf, a pass that fails."""

import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from steelyard import plugins
from steelyard.core.backend import Budget, Device
from steelyard.core.lowered import LoweredPoint
from steelyard.core.result import Result
from steelyard.core.workload import Selection
from steelyard.engine.launch import run_launch
from steelyard.engine.lower import lower_points
from steelyard.engine.plan import DEFAULT_TIMEOUTS
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from tests.fakes import mistaken, narrow_suite

pytestmark = pytest.mark.backends

ROOT = Path(__file__).parents[2]
CPUS = tuple(sorted(os.sched_getaffinity(0)))[:1]
POINTS = {
    "narrow": narrow_suite.points(Selection(device_kind="cpu"))[0],
    **{name: mistaken.point(name) for name in ("bare tensor", "minus infinity")},
}


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, LoweredPoint]:
    """Each point by name."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("STEELYARD_CACHE", str(cache))
        lowered, failures = lower_points(
            tuple(POINTS.values()), ("onnx",), weights_dir=None, device_kind="cpu", say=print, pool=2
        )
    assert not failures
    return {name: lowered[point.key] for name, point in POINTS.items()}


@pytest.fixture
def launch(points: Mapping[str, LoweredPoint], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A cold launch of a backend at every point."""
    monkeypatch.chdir(ROOT)  # the worker finds tests.fakes through its working directory

    def call(backend: str) -> Mapping[str, Result]:
        request = LaunchRequest(
            launch=f"run-{os.getpid()}/0001",
            arm=backend,
            round=0,
            position=0,
            backend=plugins.backend(backend),
            device=Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
            budget=Budget(threads=1, cpus=CPUS),
            compile_cache=str(tmp_path / "cache"),
            scratch=str(tmp_path / "scratch"),
            seed=3,
            steady=False,
            cases=tuple(
                CaseRequest(case_id=name, lowered=point, pace=Pace(seconds=0.01, minimum=10, maximum=100, cap_s=1))
                for name, point in points.items()
            ),
        )
        outcome = run_launch(request, origin_s=time.monotonic(), timeouts=DEFAULT_TIMEOUTS)
        return {result.case_id: result for result in outcome.results}

    return call


@pytest.mark.parametrize("backend", ["eager", "onnxruntime", "torch_compile:tests.fakes.broken_pass:unchanged"])
def test_a_tensor_without_a_tuple_every_type_and_a_meant_infinity_are_run_and_found_right(
    launch: Callable[[str], Mapping[str, Result]], backend: str
) -> None:
    assert {name: (result.status, result.reason) for name, result in launch(backend).items()} == dict.fromkeys(
        POINTS, ("ok", "")
    )


def test_the_error_of_a_pass_is_told_with_its_file_and_line(launch: Callable[[str], Mapping[str, Result]]) -> None:
    for result in launch("torch_compile:tests.fakes.broken_pass:broken").values():
        assert (result.status, result.stage) == ("failed", "compile")
        assert re.search(r"ValueError: no such op \(tests/fakes/broken_pass.py:11\)$", result.reason), result.reason
        assert str(ROOT) not in result.reason + result.log_tail
