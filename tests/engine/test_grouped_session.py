"""A session whose memory does not hold all launches of a round: groups one after the other, turns within each."""

import os
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from steelyard.core.backend import Budget, Device
from steelyard.core.metrics import Reading
from steelyard.core.result import LaunchRecord, Result
from steelyard.core.turn_rule import spans
from steelyard.core.workload import Selection
from steelyard.engine import session as engine
from steelyard.engine.launch import LaunchOutcome
from steelyard.engine.plan import Request, make_plan
from steelyard.engine.protocol import LaunchRequest
from steelyard.engine.room import Free
from tests.engine.test_resumed_session import Kept
from tests.engine.test_turns import turns_of
from tests.fakes.numpy_work import PATH, lowered_point

ROOT = Path(__file__).parents[2]
SLOW, SLOWER, CONTROL = f"{PATH}[sleep=0.002]", f"{PATH}[sleep=0.003]", f"{PATH} (control)"


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # so that the workers find tests.fakes through their working directory


def measured(
    tmp_path: Path, *backends: str, rounds: int, beside: float, window_s: float = 0.05, piece: int = 1
) -> tuple[Kept, engine.SessionResult]:
    """A segment of so many rounds where memory holds the baseline and so many others."""
    lowered = lowered_point(tmp_path / "point", name="wide")
    plan = make_plan(
        Request(
            suite="tests.fakes.small_suite:SUITE",
            backends=backends,
            device=Device(kind="cpu", index=0, name="CPU", memory_bytes=None),
            budget=Budget(threads=1, cpus=(min(os.sched_getaffinity(0)),)),
            selection=Selection(device_kind="cpu", workloads=("wide",)),
            baseline=PATH,
            rounds=rounds,
            window_s=window_s,
            piece=piece,
        ),
        points=(lowered.point,),
    )
    kept = Kept()

    def free(_: Device) -> Free:
        peaks = [reading.value or 0.0 for result in kept.results for reading in result.memory.values()]
        return Free(host_bytes=(1 + beside) * max(peaks) / 0.9)

    session = engine.Session(
        plan,
        {lowered.point.key: lowered},
        {},
        kept,
        run_id="grouped",
        work=tmp_path,
        started_s=time.monotonic(),
        free=free,
    )
    return kept, session.run()


def test_groups_run_one_after_the_other_each_with_a_launch_of_the_baseline(tmp_path: Path) -> None:
    kept, segment = measured(tmp_path, PATH, SLOW, rounds=1, beside=1.5)
    assert segment.turns == "on"
    assert segment.groups.endswith(f"each group has its own launch of {PATH}: {SLOW}; {CONTROL}"), segment.groups
    assert any("take turns in 2 groups: together they need" in note for note in kept.notes)
    warm = [record for record in kept.launches if record.round == 1]
    assert sorted((record.group, record.arm) for record in warm) == [(0, PATH), (0, SLOW), (1, PATH), (1, CONTROL)]
    assert sorted(record.position for record in warm) == [0, 1, 2, 3]
    assert len({record.launch for record in warm}) == 4
    assert all(record.stopped_s is not None for record in warm)
    assert {record.group for record in kept.launches if record.round == 0} == {0}
    spans = []
    for group in (0, 1):
        members = [record for record in warm if record.group == group]
        spans.append((min(each.started_s for each in members), max(each.ended_s for each in members)))
        results = [result for result in kept.results if result.place == (1, group)]
        assert {result.status for result in results} == {"ok"}
        owners = [arm for _, _, arm, _ in turns_of(results)]
        assert sum(one != other for one, other in pairwise(owners)) >= 6, "the two of a group take turns"
    (_, ended), (begun, _) = sorted(spans)
    assert ended < begun, "the groups are not alive together"


def test_all_launches_have_turns_and_pieces_in_the_same_sweeps_where_that_is_asked(tmp_path: Path) -> None:
    kept, _ = measured(tmp_path, PATH, SLOW, rounds=1, beside=5, window_s=0.2, piece=4)
    warm = [result for result in kept.results if result.round == 1]
    found = [result.details.turns.lengths for result in warm]
    assert len(found) == 3
    for result, lengths in zip(warm, found, strict=True):
        latency = result.measurement("latency_s")
        assert latency is not None
        assert len(lengths) == len(latency.turns) > 3
        assert all({*lengths[at : at + 2]} == {1, 4} for at in range(0, len(lengths) - 1, 2))
        calls = [end - begin for begin, end in spans(latency.turns, len(latency.samples))][:-1]
        by_length = {
            length: [n for n, each in zip(calls, lengths, strict=False) if each == length] for length in (1, 4)
        }
        assert median(by_length[4]) > median(by_length[1])
    assert len({tuple(lengths[: min(map(len, found))]) for lengths in found}) == 1


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[list[LaunchRequest]]]:
    """Launches are made up, and those of an arm fail. The requests that run together, in order."""

    def begin(failing: str) -> list[list[LaunchRequest]]:
        asked: list[list[LaunchRequest]] = []

        def outcome(request: LaunchRequest) -> LaunchOutcome:
            where = {name: getattr(request, name) for name in ("launch", "arm", "round", "position", "group")}
            failed = request.arm == failing
            result = Result(
                **where,
                case_id=request.cases[0].case_id,
                status="failed" if failed else "ok",
                stage="compile" if failed else "check",
                memory={} if failed else {"host_peak_bytes/load": Reading(value=1e9, unit="B")},
            )
            record = LaunchRecord(**where, started_s=0.0, ended_s=1.0, exit_code=0, supervisor_cpu_s=0.0)
            return LaunchOutcome(record=record, results=[result])

        class Together:
            def __init__(self, requests, sweeps, *, keep, **_) -> None:
                self.requests, self.keep = requests, keep
                assert sorted(next(sweeps))[:1] == [PATH]

            def run(self) -> None:
                asked.append(list(self.requests))
                for request in self.requests:
                    self.keep(request, outcome(request))

        monkeypatch.setattr(engine, "run_launch", lambda request, **_: outcome(request))
        monkeypatch.setattr(engine, "Together", Together)
        return asked

    return begin


def test_orders_are_balanced_within_and_between_groups(tmp_path: Path, made_up) -> None:
    asked = made_up("nobody")
    measured(tmp_path, PATH, SLOW, SLOWER, rounds=12, beside=2.0)
    assert Counter(place % 2 for place, group in enumerate(asked) if group[0].group == 0) == {0: 6, 1: 6}
    for number, arms in ((0, (PATH, SLOW, CONTROL)), (1, (PATH, SLOWER))):
        groups = [group for group in asked if group[0].group == number]
        assert len(groups) == 12
        places = Counter((place, request.arm) for group in groups for place, request in enumerate(group))
        assert places == {(place, arm): 12 // len(arms) for place in range(len(arms)) for arm in arms}
        assert {request.beside for group in groups for request in group} == {len(arms) - 1}
    positions = [request.position for group in asked for request in group]
    assert positions == 12 * [*range(5)], "they go on from group to group"


def test_a_group_in_which_nothing_is_left_to_compare_is_not_launched(tmp_path: Path, made_up) -> None:
    asked = made_up(SLOW)
    _, segment = measured(tmp_path, PATH, SLOW, SLOWER, rounds=3, beside=1.0)
    assert segment.groups.count(";") == 2, "what failed needs nothing that is known, and shares a group"
    for number in (2, 3):
        groups = [group for group in asked if group[0].round == number]
        assert len(groups) == 2
        assert SLOW not in {request.arm for group in groups for request in group}, "it failed twice"
        assert all(any(request.arm == PATH for request in group) for group in groups)
