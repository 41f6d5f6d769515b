"""Launches of which nothing is timed: several at a time, each to its own end, and none left behind."""

import os
import threading
import time
from pathlib import Path

import psutil
import pytest

from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.workload import Selection
from steelyard.engine import at_once as engine
from steelyard.engine.launch import LaunchInterrupted, LaunchOutcome
from steelyard.engine.plan import DEFAULT_TIMEOUTS, Request
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from steelyard.guard.presence import Presence
from tests.fakes.numpy_work import PATH, lowered_point

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # so that the worker finds tests.fakes through its working directory


def asked(tmp_path: Path, *backends: str) -> list[LaunchRequest]:
    point = lowered_point(tmp_path / "point")
    return [
        LaunchRequest(
            launch=f"at-once-{os.getpid()}/{index}",
            arm=str(index),
            round=0,
            position=index,
            backend=parse_backend(backend),
            device=Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
            budget=Budget(threads=1, cpus=(min(os.sched_getaffinity(0)),)),
            compile_cache=str(tmp_path / f"cache{index}"),
            scratch=str(tmp_path / f"scratch{index}"),
            seed=3,
            steady=False,
            cases=(
                CaseRequest(
                    case_id=f"case{index}",
                    lowered=point,
                    pace=Pace(seconds=0.1, minimum=1, maximum=5, cap_s=1.0, turn_s=None),
                ),
            ),
        )
        for index, backend in enumerate(backends)
    ]


def run(requests, count, *, keep=lambda request, outcome: None, timeouts=DEFAULT_TIMEOUTS) -> list[str]:
    begun: list[str] = []
    engine.run_at_once(
        requests,
        count,
        begin=lambda request: begun.append(request.arm),
        keep=keep,
        timeouts=timeouts,
        origin_s=time.monotonic(),
    )
    return begun


def test_as_many_as_asked_for_run_at_a_time_and_all_of_them_end(tmp_path: Path) -> None:
    ended: dict[str, LaunchOutcome] = {}
    requests = asked(tmp_path, *[PATH] * 5)
    assert run(requests, 2, keep=lambda request, outcome: ended.update({request.arm: outcome})) == list("01234")
    assert {result.status for outcome in ended.values() for result in outcome.results} == {"ok"}
    spans = [(outcome.record.started_s, outcome.record.ended_s) for outcome in ended.values()]
    alive = [sum(start <= at < end for start, end in spans) for at, _ in spans]
    assert len(ended) == 5
    assert max(alive) == 2


def test_a_crash_is_a_row_and_leaves_those_beside_it_alone(tmp_path: Path) -> None:
    ended: dict[str, str] = {}

    def keep(request: LaunchRequest, outcome: LaunchOutcome) -> None:
        ended.update((result.case_id, result.status) for result in outcome.results)

    run(asked(tmp_path, PATH, f"{PATH}[fault=killed]", PATH), 3, keep=keep)
    assert ended == {"case0": "ok", "case1": "crashed", "case2": "ok"}


@pytest.mark.timeout(60)  # one that listens to what is closed would go on for minutes
def test_a_thread_that_looks_away_meanwhile_sees_that_its_launch_was_ended(tmp_path: Path, monkeypatch) -> None:
    looking_away, look = threading.Event(), Presence._look

    def slowly(self: Presence) -> None:
        looking_away.set()
        time.sleep(2.0)
        look(self)

    def stop(request: LaunchRequest, outcome: LaunchOutcome) -> None:
        monkeypatch.setattr(Presence, "_look", slowly)
        assert looking_away.wait(10.0)
        raise KeyboardInterrupt

    with pytest.raises(LaunchInterrupted):
        run(asked(tmp_path, PATH, f"{PATH}[fault=hang]", PATH), 2, keep=stop)


@pytest.mark.timeout(60)  # the one that hangs would go on for minutes
def test_interrupted_it_ends_what_hangs_and_leaves_no_process_behind(tmp_path: Path) -> None:
    def stop(request: LaunchRequest, outcome: LaunchOutcome) -> None:
        raise KeyboardInterrupt

    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with pytest.raises(LaunchInterrupted):
        run(asked(tmp_path, PATH, f"{PATH}[fault=hang]", PATH), 2, keep=stop)
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


@pytest.mark.parametrize(
    ("changes", "free_bytes", "count"),
    [
        ({}, 64e9, 4),
        ({}, 7e9, 2),
        ({}, 1e9, 1),
        ({"scenario": "single-stream"}, 64e9, 1),
        ({"device": Device(kind="cuda", index=0, name="a GPU", memory_bytes=1 << 30)}, 64e9, 1),
        ({"budget": Budget(threads=4, cpus=(0, 1, 2, 3), memory_cap_bytes=1 << 30)}, 64e9, 1),
    ],
)
def test_how_many_share_a_machine(monkeypatch: pytest.MonkeyPatch, changes, free_bytes: float, count: int) -> None:
    monkeypatch.setattr(engine, "free_memory_bytes", lambda: free_bytes)
    given = {
        "suite": "smoke",
        "backends": ("eager",),
        "device": Device(kind="cpu", index=0, name="CPU", memory_bytes=None),
        "budget": Budget(threads=4, cpus=(0, 1, 2, 3)),
        "selection": Selection(device_kind="cpu"),
        "scenario": "correctness",
    }
    assert engine.at_once(Request(**{**given, **changes})) == count
