"""A segment that goes on with a run: what it calls its launches, what it says again, and how long its windows last."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from steelyard.core.backend import Budget, Device
from steelyard.core.result import LaunchRecord, Result
from steelyard.core.workload import Selection
from steelyard.engine import session as engine
from steelyard.engine.launch import LaunchOutcome
from steelyard.engine.plan import Plan, Request, make_plan
from steelyard.engine.protocol import LaunchRequest
from tests.engine.test_contaminated_rounds import Listener
from tests.fakes.numpy_work import PATH, lowered_point


class Kept(Listener):
    """A sink that keeps launches and results, as a store does."""

    def __init__(self) -> None:
        super().__init__()
        self.launches: list[LaunchRecord] = []
        self.results: list[Result] = []

    def launch(self, record: LaunchRecord) -> None:
        self.launches.append(record)

    def result(self, result: Result) -> None:
        self.results.append(result)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(
        Request(
            suite="tests.fakes.small_suite:SUITE",
            backends=(PATH,),
            device=Device(kind="cpu", index=0, name="CPU", memory_bytes=None),
            budget=Budget(threads=1, cpus=()),
            selection=Selection(device_kind="cpu"),
            baseline=PATH,
            rounds=8,
            window_s=0.5,
            turns=False,
        )
    )


@pytest.fixture
def segment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Runs a segment of made-up launches; `stop_at` interrupts it at so many, and `asked` has what they were."""
    asked: list[LaunchRequest] = []

    def call(
        plan: Plan, kept: Kept, *, stop_at: int | None = None, earlier: Sequence[Result] = ()
    ) -> engine.SessionResult:
        before = len(asked)

        def launch(request: LaunchRequest, **_) -> LaunchOutcome:
            asked.append(request)
            if stop_at is not None and len(asked) - before > stop_at:
                raise KeyboardInterrupt
            where = {"launch": request.launch, "arm": request.arm, "round": request.round, "position": request.position}
            record = LaunchRecord(**where, started_s=0.0, ended_s=1.0, exit_code=0, supervisor_cpu_s=0.0)
            results = [
                Result(**where, case_id=case.case_id, status="ok", stage="check", reason="") for case in request.cases
            ]
            return LaunchOutcome(record=record, results=results)

        monkeypatch.setattr(engine, "run_launch", launch)
        wide, narrow = plan.points
        return engine.Session(
            plan,
            {wide.key: lowered_point(tmp_path / "point")},
            {narrow.key: "there are no inputs to be had"},
            kept,
            run_id="r",
            work=tmp_path,
            started_s=time.monotonic(),
            first_round=max((result.round for result in earlier), default=0) + 1,
            earlier=tuple(earlier),
            launched=len(kept.launches),
        ).run()

    call.asked = asked  # type: ignore[attr-defined]
    return call


@pytest.mark.parametrize("stop_at", [0, 1, 2, 3])
def test_no_two_launches_of_a_run_have_one_name_wherever_it_was_interrupted(plan, segment, stop_at) -> None:
    kept = Kept()
    assert segment(plan, kept, stop_at=stop_at).ended == "interrupted"
    segment(plan, kept, earlier=kept.results)
    names = [record.launch for record in kept.launches]
    assert len(names) == len(set(names)) > 8


@pytest.mark.parametrize("stop_at", [0, 2])
def test_what_lowering_ruled_out_is_said_once_in_a_run(plan, segment, stop_at) -> None:
    kept = Kept()
    segment(plan, kept, stop_at=stop_at)
    segment(plan, kept, earlier=kept.results)
    ruled_out = [(result.arm, result.case_id) for result in kept.results if result.stage == "lower"]
    assert len(ruled_out) == len(plan.arms) == len(set(ruled_out))


def test_what_failed_before_is_tried_again_and_what_is_unsupported_is_not(plan, segment) -> None:
    """More time, or more memory, may be why somebody goes on with a run."""
    wide, _ = plan.points
    arm = plan.arms[0]
    where = {"case_id": plan.case(arm, wide).id, "arm": arm.label, "position": 0, "launch": "r/1-0001"}
    for status, tried in (("timed_out", True), ("out_of_memory", True), ("unsupported", False)):
        failed = Result(**where, round=1, status=status, stage="compile", reason="10 s were not enough")
        begun = len(segment.asked)
        segment(plan, Kept(), earlier=[failed, dataclasses.replace(failed, round=2)])
        launched = {request.arm for request in segment.asked[begun:]}
        assert (arm.label in launched) is tried, status


def test_a_segment_in_which_nothing_is_left_to_launch_ends_and_says_so(plan, segment) -> None:
    wide, _ = plan.points
    unsupported = [
        Result(
            case_id=plan.case(arm, wide).id, arm=arm.label, round=1, position=0, launch="r/1-0001",
            status="unsupported", stage="compile", reason="no such operator",
        )
        for arm in plan.arms
    ]  # fmt: skip
    done = segment(plan, Kept(), earlier=unsupported)
    assert (done.rounds, done.ended) == ((0,), "nothing_left")


def test_a_run_with_its_rounds_done_goes_on_under_a_limit_of_time(plan, segment) -> None:
    more = dataclasses.replace(
        plan, minimum_rounds=0, maximum_rounds=1, request=dataclasses.replace(plan.request, time_s=600.0)
    )
    done = segment(more, Kept())
    assert (done.rounds, done.ended) == ((0, 1), "rounds")
    windows = {case.pace.seconds for request in segment.asked for case in request.cases}
    assert windows == {plan.request.window_s}
