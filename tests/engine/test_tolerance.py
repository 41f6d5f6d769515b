"""What a stated tolerance makes of a worker's result, and how it comes to a launch."""

import dataclasses
import os
import time
from pathlib import Path

import pytest

from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.result import Result
from steelyard.engine.launch import run_launch
from steelyard.engine.plan import DEFAULT_TIMEOUTS
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from tests.engine.test_resumed_session import Kept, plan, segment  # noqa: F401 (fixtures)
from tests.fakes.numpy_work import PATH, lowered_point

ROOT = Path(__file__).parents[2]


def launched(tmp_path: Path, stated: float | None) -> Result:
    """A launch of a backend that is off by 1 %."""
    cpu = min(os.sched_getaffinity(0))
    request = LaunchRequest(
        launch=f"run-{os.getpid()}/0001",
        arm=PATH,
        round=0,
        position=0,
        backend=parse_backend(f"{PATH}[fault=wrong]"),
        device=Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
        budget=Budget(threads=1, cpus=(cpu,)),
        compile_cache=str(tmp_path / "cache"),
        scratch=str(tmp_path / "scratch"),
        seed=3,
        steady=False,
        cases=(
            CaseRequest(
                case_id="case",
                lowered=lowered_point(tmp_path / "point").within(stated),
                pace=Pace(seconds=0.05, minimum=10, maximum=100, cap_s=1.0),
            ),
        ),
    )
    (result,) = run_launch(request, origin_s=time.monotonic(), timeouts=DEFAULT_TIMEOUTS).results
    return result


@pytest.mark.parametrize(
    ("stated", "status", "approximate"),
    [(None, "incorrect", ""), (1e-3, "incorrect", ""), (0.02, "ok", "y: relative error 0.01 exceeds 1e-05")],
)
def test_a_result_is_incorrect_beyond_what_was_stated_and_marked_within_it(
    stated: float | None, status: str, approximate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    result = launched(tmp_path, stated)
    assert result.status == status
    assert result.approximate.startswith(approximate)
    assert bool(result.approximate) == bool(approximate)
    assert ("if it is meant to approximate, --tolerance 0.01 says so" in result.reason) == (status == "incorrect")


@pytest.mark.parametrize(
    ("by_hand", "declared", "expected"), [(None, None, None), (None, 0.02, 0.02), (1e-3, 0.02, 1e-3)]
)
def test_every_launch_is_told_the_tolerance_of_its_case(by_hand, declared, expected, plan, segment) -> None:  # noqa: F811
    wide = dataclasses.replace(plan.points[0], tolerance=declared)
    budget = dataclasses.replace(plan.request.budget, tolerance=by_hand)
    request = dataclasses.replace(plan.request, budget=budget)
    stated = dataclasses.replace(plan, points=(wide, plan.points[1]), request=request, maximum_rounds=1)
    segment(stated, Kept())
    told = {case.lowered.tolerances["y"].stated for launch in segment.asked for case in launch.cases}
    assert told == {expected}
