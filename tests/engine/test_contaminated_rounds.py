"""A segment whose launches are made up: which rounds are repeated, how often, and when the run ends."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.core.backend import Budget, Device
from steelyard.core.metrics import Reading
from steelyard.core.result import LaunchRecord
from steelyard.core.workload import Selection
from steelyard.engine import session as engine
from steelyard.engine.launch import LaunchOutcome
from steelyard.engine.plan import Plan, Request, make_plan
from tests.fakes.numpy_work import PATH, lowered_point

BUSY = {
    "during/measured_cpus": Reading(value=2.0, unit="1"),
    "during/watched_s": Reading(value=2.0, unit="s"),
    "during/foreign_cpu_share": Reading(value=0.5, unit="1"),
}
CALM = {**BUSY, "during/foreign_cpu_share": Reading(value=0.01, unit="1")}


class Listener:
    """A sink that keeps notes and what it is told of rounds, and says after which round the intervals are narrow."""

    def __init__(self, narrow_after: int | None = None) -> None:
        self.notes: list[str] = []
        self.told: list[tuple[int, int]] = []
        self.narrow_after = narrow_after

    def round_ends(self, number: int) -> bool:
        return self.narrow_after is not None and number >= self.narrow_after

    def note(self, text: str) -> None:
        self.notes.append(text)

    def round_begins(self, number: int, last: int, remaining_s: float | None, launches: int) -> None:
        self.told.append((number, last))

    def launch(self, record: LaunchRecord) -> None: ...
    def result(self, result) -> None: ...
    def launch_begins(self, arm, number, position) -> None: ...
    def event(self, event) -> None: ...


@pytest.fixture(scope="module")
def plan_of() -> Callable[..., Plan]:
    def make(rounds: int, time_s: float | None = None, backends: tuple[str, ...] = (PATH,)) -> Plan:
        return make_plan(
            Request(
                suite="tests.fakes.small_suite:SUITE",
                backends=backends,
                device=Device(kind="cpu", index=0, name="CPU", memory_bytes=None),
                budget=Budget(threads=1, cpus=()),
                selection=Selection(device_kind="cpu", workloads=("wide",)),
                baseline=PATH,
                rounds=rounds,
                time_s=time_s,
                window_s=0.5,
                turns=False,
            )
        )

    return make


def ran(
    monkeypatch,
    tmp_path: Path,
    plan: Plan,
    listener: Listener,
    busy: Callable[[int], bool] = lambda number: False,
    *,
    launch_s: float = 0.0,
    first_round: int = 1,
    stolen: Mapping[int, str] | None = None,
) -> engine.SessionResult:
    """`busy` says in which rounds another program worked; `stolen` whose launch lost time to the host in a round, of
    launches that took turns."""

    def launch(request, **_) -> LaunchOutcome:
        time.sleep(launch_s)
        noise: Mapping[str, Reading] = BUSY if busy(request.round) and request.position == 1 else CALM
        if stolen is not None and stolen.get(request.round) == request.arm:
            noise = {"during/steal_share": Reading(value=0.08, unit="1", method="/proc/stat")}
        record = LaunchRecord(
            launch=request.launch,
            arm=request.arm,
            round=request.round,
            position=request.position,
            started_s=0.0,
            ended_s=1.0,
            exit_code=0,
            supervisor_cpu_s=0.0,
            noise=noise,
            ran_s=None if stolen is None else 1.0,
        )
        return LaunchOutcome(record=record)

    monkeypatch.setattr(engine, "run_launch", launch)
    lowered = {point.key: lowered_point(tmp_path / "point") for point in plan.points}
    begun = {"started_s": time.monotonic(), "first_round": first_round}
    return engine.Session(plan, lowered, {}, listener, run_id="r", work=tmp_path, **begun).run()


def test_a_contaminated_round_is_marked_said_and_made_good(monkeypatch, tmp_path, plan_of):
    listener = Listener()
    segment = ran(monkeypatch, tmp_path, plan_of(8), listener, lambda number: number == 3)
    assert segment.rounds == tuple(range(10))
    assert (segment.ended, list(segment.disturbed)) == ("rounds", [3])
    assert "other processes used 1.00 of 2 CPUs while it ran" in segment.disturbed[3]
    (note,) = listener.notes
    assert note.startswith("round 3 was contaminated; another is appended for it: ")


def test_a_launch_that_lost_time_to_the_host_asks_for_another_round_where_all_need_it(monkeypatch, tmp_path, plan_of):
    plan, listener = plan_of(8, backends=(PATH, f"{PATH}[sleep=0.001]")), Listener()
    labels = [arm.label for arm in plan.arms if arm.control or arm == plan.baseline]
    (other,) = [arm.label for arm in plan.arms if arm.label not in labels]
    segment = ran(monkeypatch, tmp_path, plan, listener, stolen={2: other, **dict(zip((5, 7), labels, strict=True))})
    assert segment.rounds == tuple(range(11))
    assert segment.disturbed == {}
    theft = "the hypervisor gave 8% of the CPU time to other guests"
    again = "; another is appended for it"
    assert listener.notes == [
        f"round {number}: the times of a launch of {arm} are left out{more}: {theft}"
        for number, arm, more in ((2, other, ""), (5, labels[0], again), (7, labels[1], again))
    ]


def test_a_machine_that_stays_noisy_ends_after_a_quarter_more(monkeypatch, tmp_path, plan_of):
    listener = Listener(narrow_after=1)
    segment = ran(monkeypatch, tmp_path, plan_of(8), listener, lambda number: True)
    assert segment.rounds == tuple(range(11))
    assert segment.ended == "rounds", "widths without uncontaminated rounds end nothing"
    assert set(segment.disturbed) == set(segment.rounds)
    assert sum("another is appended" in note for note in listener.notes) == 2
    assert sum("no further round can be appended" in note for note in listener.notes) == 8


def test_precision_counts_uncontaminated_rounds_only(monkeypatch, tmp_path, plan_of):
    narrow = Listener(narrow_after=1)
    assert ran(monkeypatch, tmp_path, plan_of(30), narrow, lambda number: False).rounds == tuple(range(9))
    segment = ran(monkeypatch, tmp_path, plan_of(30), narrow, lambda number: number in (2, 5))
    assert segment.rounds == tuple(range(11))
    assert segment.ended == "precision"


def test_three_rounds_are_never_repeated(monkeypatch, tmp_path, plan_of):
    assert ran(monkeypatch, tmp_path, plan_of(3), Listener(), lambda number: True).rounds == (0, 1, 2, 3)


def test_the_time_ends_a_noisy_run_as_well(monkeypatch, tmp_path, plan_of):
    plan = plan_of(1000, time_s=0.6)
    segment = ran(monkeypatch, tmp_path, plan, Listener(), lambda number: True, launch_s=0.02)
    assert segment.ended == "time"
    assert 2 < len(segment.rounds) < 40


def test_a_repeated_round_is_counted_in_what_is_told(monkeypatch, tmp_path, plan_of):
    once, always = Listener(), Listener()
    ran(monkeypatch, tmp_path, plan_of(8), once, lambda number: number == 3)
    assert once.told == [*((number, 8) for number in range(4)), *((number, 9) for number in range(4, 10))]
    ran(monkeypatch, tmp_path, plan_of(8), always, lambda number: True)
    assert always.told[-1] == (10, 10), "a quarter more is the most"


def test_a_resumed_run_is_told_the_numbers_of_the_whole_run(monkeypatch, tmp_path, plan_of):
    listener = Listener()
    ran(monkeypatch, tmp_path, plan_of(2), listener, first_round=21)
    assert listener.told == [(0, 22), (21, 22), (22, 22)]


def test_of_cold_starts_the_cold_round_is_one(monkeypatch, tmp_path, plan_of):
    listener, warm = Listener(), plan_of(5)
    ran(monkeypatch, tmp_path, replace(warm, request=replace(warm.request, scenario="cold-start")), listener)
    assert listener.told == [(number, 4) for number in range(5)]
