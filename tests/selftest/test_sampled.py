"""The backend whose process reads a meter meanwhile: a real launch gives the wrapped backend's answers."""

import os
import time
from pathlib import Path

import pytest

from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.errors import UsageError
from steelyard.engine.launch import run_launch
from steelyard.engine.plan import DEFAULT_TIMEOUTS
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from tests.calibration.sampled import PATH, Sampled
from tests.fakes import numpy_work

ROOT = Path(__file__).parents[2]


def test_the_meter_is_read_while_the_calls_are_timed(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    spec = parse_backend(f"{PATH}[every=0.01,of={numpy_work.PATH}]")
    request = LaunchRequest(
        launch=f"run-{os.getpid()}/0001",
        arm=spec.text,
        round=1,
        position=0,
        backend=spec,
        device=Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
        budget=Budget(threads=1, cpus=(min(os.sched_getaffinity(0)),)),
        compile_cache=str(tmp_path / "cache"),
        scratch=str(tmp_path / "scratch"),
        seed=3,
        steady=True,
        cases=(
            CaseRequest(
                case_id="case",
                lowered=numpy_work.lowered_point(tmp_path / "point"),
                pace=Pace(seconds=0.1, minimum=10, maximum=5000, cap_s=1.0),
            ),
        ),
    )
    outcome = run_launch(request, origin_s=time.monotonic(), timeouts=DEFAULT_TIMEOUTS)
    (result,) = outcome.results
    assert (result.status, result.reason) == ("ok", "")
    assert result.options["every"] == "0.01"
    zone = tmp_path / "scratch/powercap/intel-rapl:0/energy_uj"
    assert zone.exists(), "no meter here, so that a file is read at the same price"


@pytest.mark.parametrize("every", ["", "-1", "nan", "often"])
def test_a_time_that_is_none_is_refused(every):
    spec = parse_backend(f"{PATH}[every={every},of=eager]" if every else f"{PATH}[of=eager]")
    with pytest.raises(UsageError, match="is no time"):
        Sampled.wrapped(spec)
