"""Launches of a round alive together, with real workers: one runs at a time, and every end leaves the others alone."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

import psutil
import pytest

from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.metrics import Reading
from steelyard.core.result import Result
from steelyard.core.turn_rule import first_calls, spans
from steelyard.engine.launch import LaunchOutcome
from steelyard.engine.plan import DEFAULT_TIMEOUTS
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from steelyard.engine.rounds import balanced_orders
from steelyard.engine.turns import Together
from steelyard.guard import halt
from steelyard.guard.contamination import contaminated_rounds
from steelyard.guard.proc import text
from steelyard.guard.spin_meter import SpinMeter
from tests.fakes.numpy_work import PATH, lowered_point

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]
SLOW = f"{PATH}[sleep=0.002]"
RUN = f"turns-{os.getpid()}"
"""The mark of these launches, whatever else is tested on the machine."""


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # so that the worker finds tests.fakes through its working directory


def together(
    tmp_path: Path,
    *backends: str,
    cases: int = 1,
    timeouts=DEFAULT_TIMEOUTS,
    at: Callable[[LaunchRequest], None] = lambda request: None,
    meter: SpinMeter | None = None,
) -> list[LaunchOutcome]:
    """The outcomes of a round with these backends, in the order of their ends. `at` is called as each launch begins."""
    points = [lowered_point(tmp_path / f"p{index}", name=f"affine{index}", seed=index) for index in range(cases)]
    arms = [f"{index}" for index in range(len(backends))]
    requests = [
        LaunchRequest(
            launch=f"{RUN}/{arm}",
            arm=arm,
            round=1,
            position=int(arm),
            backend=parse_backend(backend),
            device=Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
            budget=Budget(threads=1, cpus=(min(os.sched_getaffinity(0)),)),
            compile_cache=str(tmp_path / f"cache{arm}"),
            scratch=str(tmp_path / f"scratch{arm}"),
            seed=3,
            steady=True,
            cases=tuple(
                CaseRequest(
                    case_id=f"{arm}/{index}",
                    lowered=point,
                    pace=Pace(seconds=0.1, minimum=24, maximum=5000, cap_s=1.0, turn_s=0.01),
                )
                for index, point in enumerate(points)
            ),
        )
        for arm, backend in zip(arms, backends, strict=True)
    ]
    ended: list[LaunchOutcome] = []
    Together(
        requests,
        balanced_orders(arms, 5),
        points=[point.point.key for point in points],
        timeouts=timeouts,
        origin_s=time.monotonic(),
        begin=at,
        on_event=lambda event: None,
        keep=lambda request, outcome: ended.append(outcome),
        meter=meter,
    ).run()
    return ended


def turns_of(results: Sequence[Result]) -> list[tuple[float, float, str, int]]:
    """Beginning and end of every turn on the clock of the segment, whose it was, and which of its turns, in order."""
    found = []
    for result in results:
        latency = result.measurement("latency_s")
        assert latency is not None
        assert latency.begun_s is not None
        for number, (begin, end) in enumerate(spans(latency.turns, len(latency.samples))):
            over = latency.starts_s[end - 1] + latency.samples[end - 1]
            found.append((latency.begun_s + latency.starts_s[begin], latency.begun_s + over, result.arm, number))
    return sorted(found)


def ours() -> list[int]:
    """The processes that descend from this one, and what has left them that bears the mark of a launch."""
    return [child.pid for child in psutil.Process().children(recursive=True)] + marked(f"{RUN}/")


def gone(left: Callable[[], list[int]]) -> bool:
    """Whether nobody is left in the end: a process that was killed takes its time to go."""
    until = time.monotonic() + 20
    while left() and time.monotonic() < until:
        time.sleep(0.05)
    return not left()


def marked(name: str) -> list[int]:
    wanted = f"STEELYARD_LAUNCH={name}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if any(part.startswith(wanted) for part in entry.read_bytes().split(b"\0")):
                found.append(int(entry.parent.name))
        except OSError:
            continue  # it has ended
    return found


def test_one_runs_at_a_time_in_a_balanced_order_and_all_others_are_stopped(tmp_path: Path) -> None:
    outcomes = together(tmp_path, f"{PATH}[fault=watch]", f"{PATH}[fault=stray]", SLOW, cases=2)
    assert [result.status for outcome in outcomes for result in outcome.results] == ["ok"] * 6
    assert gone(ours), "a child that left the group of its launch is ended as well"
    for case in (0, 1):
        results = [outcome.results[case] for outcome in outcomes]
        turns = turns_of(results)
        assert all(early[1] <= late[0] for early, late in pairwise(turns)), "two turns at one time"
        counts = Counter(arm for _, _, arm, _ in turns)
        assert min(counts.values()) >= 6
        by_sweep = [[arm for _, _, arm, number in turns if number == sweep] for sweep in range(min(counts.values()))]
        if case == 0:  # the order goes on from one window to the next
            for block in (by_sweep[:3], by_sweep[3:6]):
                places = Counter((place, arm) for sweep in block for place, arm in enumerate(sweep))
                assert set(places.values()) == {1}, by_sweep
    seen = outcomes[[outcome.record.arm for outcome in outcomes].index("0")].results[1].options["seen"]
    assert set(seen) == {"T"}, f"while one ran the others were in the states {seen}"
    assert seen["T"] > 3 * 24, "three others, in every call of both windows"


def test_the_record_says_how_long_it_ran_and_stood_and_what_a_turn_costs(tmp_path: Path) -> None:
    with SpinMeter([min(os.sched_getaffinity(0))]) as meter:
        outcomes = together(tmp_path, SLOW, SLOW, meter=meter)
    for outcome in outcomes:
        record = outcome.record
        low, typical = (record.noise[f"during/{name}"].value for name in ("spin_hz_low", "spin_hz"))
        assert low is not None
        assert typical is not None
        assert 1e5 < low <= typical
        assert record.ran_s is not None
        assert record.stopped_s is not None
        assert record.handover_s is not None
        assert record.ran_s + record.stopped_s == pytest.approx(record.ended_s - record.started_s)
        assert 0 < record.handover_s < record.stopped_s
        watched = record.noise["during/watched_s"].value
        assert watched is not None
        away = record.noise["during/away_s"].value
        assert away is not None
        assert away < record.stopped_s / 2, "who was there for another launch was not away"
        assert watched < record.ran_s, "the noise guard looks while the launch runs, and does not count the others"
        (result,) = outcome.results
        latency = result.measurement("latency_s")
        assert latency is not None
        assert result.details.window_s < latency.starts_s[-1], "the window is its turns, without what lay between"
        turns = result.details.turns
        assert turns is not None
        assert turns.number == len(latency.turns) > 3
        left_out = first_calls(latency.turns, len(latency.samples))
        assert turns.first_calls_left_out == len(left_out)
        kept = len(latency.samples) - latency.cut - sum(index >= latency.cut for index in left_out)
        assert len(latency.steady_samples) == kept


class Meter(SpinMeter):
    """A spin meter of a test: it notes in what states the launches are when it reads, and finds a slower clock each
    time."""

    def __init__(self) -> None:
        self.reads: list[tuple[float, bool]] = []
        self.states: set[str] = set()

    def read(self, *, rested: bool = False) -> Reading:
        if not rested:
            self.states |= {psutil.Process(pid).status() for pid in marked(f"{RUN}/")}
        self.reads.append((1e6 / (1 + len(self.reads)), rested))
        return Reading(value=self.reads[-1][0], unit="Hz", method="a test")


def test_the_clock_is_read_before_between_and_after_turns_while_all_stand(tmp_path: Path) -> None:
    meter = Meter()
    outcomes = together(tmp_path, f"{PATH}[fault=stray]", SLOW, meter=meter)
    assert meter.states == {psutil.STATUS_STOPPED}
    between = [speed for speed, rested in meter.reads if not rested]
    turns = turns_of([result for outcome in outcomes for result in outcome.results])
    assert len(between) == len(turns) + 1
    for outcome in outcomes:
        record = outcome.record
        own = [place for place, turn in enumerate(turns) if turn[2] == record.arm]
        around = [between[place + after] for place in own for after in (0, 1)]
        assert record.noise["during/spin_hz"].value == pytest.approx(median(around))
        assert record.noise["during/spin_hz_low"].value == min(around)
        assert {"before/spin_hz", "after/spin_hz"} <= set(record.noise)
    assert sum(rested for _, rested in meter.reads) == 4, "before and after each launch"


def test_a_launch_that_does_not_stand_makes_its_round_a_contaminated_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strays: list[str] = []

    def state(file: Path) -> str | None:
        """A thread that waits in the kernel: what it would take a broken disk to make."""
        told = text(file)
        return "9 (stray) D 1" if told and file.parts[2] in strays else told

    def note_the_stray(request: LaunchRequest) -> None:
        if request.arm == "1":
            strays.extend(str(pid) for pid in marked(f"{RUN}/0") if psutil.Process(pid).ppid() != os.getpid())

    monkeypatch.setattr(halt, "text", state)
    monkeypatch.setattr(halt, "STOPPING_S", 0.1)
    outcomes = together(tmp_path, f"{PATH}[fault=stray]", SLOW, at=note_the_stray)
    records = {outcome.record.arm: outcome.record for outcome in outcomes}
    assert {arm: record.noise["during/moving_threads"].value for arm, record in records.items()} == {"0": 1, "1": 0}
    told = contaminated_rounds(records.values())[1]
    assert "1 thread of it did not stand within 1 s for the turns of others" in told


def test_a_crash_and_a_hang_in_a_turn_are_rows_and_leave_the_others_alone(tmp_path: Path) -> None:
    faults = [f"{PATH}[fault={fault}]" for fault in ("killed late", "hang late", "raise")]
    outcomes = together(tmp_path, *faults, SLOW, cases=2, timeouts={**DEFAULT_TIMEOUTS, "steady": 0.2})
    rows = {(result.arm, result.case_id[-1]): result for outcome in outcomes for result in outcome.results}
    assert {key: (row.status, row.stage) for key, row in rows.items()} == {
        ("0", "0"): ("crashed", "steady"),
        ("0", "1"): ("skipped", "steady"),
        ("1", "0"): ("timed_out", "steady"),
        ("1", "1"): ("skipped", "steady"),
        ("2", "0"): ("failed", "first_run"),
        ("2", "1"): ("failed", "first_run"),
        ("3", "0"): ("ok", "check"),
        ("3", "1"): ("ok", "check"),
    }
    assert gone(ours)


def test_a_case_that_fails_in_a_turn_ends_its_window_and_the_next_case_has_its_own(tmp_path: Path) -> None:
    outcomes = together(tmp_path, f"{PATH}[fault=raise once]", SLOW, cases=2)
    rows = {(result.arm, result.case_id[-1]): result for outcome in outcomes for result in outcome.results}
    assert {key: (row.status, row.stage) for key, row in rows.items()} == {
        ("0", "0"): ("failed", "steady"),
        ("0", "1"): ("ok", "check"),
        ("1", "0"): ("ok", "check"),
        ("1", "1"): ("ok", "check"),
    }
    turns = turns_of([row for row in rows.values() if row.case_id[-1] == "1"])
    assert {arm for _, _, arm, _ in turns[:4]} == {"0", "1"}, "its next window is in turns, too"


def test_a_launch_that_is_killed_while_it_is_stopped_is_a_row(tmp_path: Path) -> None:
    def kill_the_first(request: LaunchRequest) -> None:
        if request.arm == "1":
            (pid,) = marked(f"{RUN}/0")
            assert psutil.Process(pid).status() == psutil.STATUS_STOPPED
            os.kill(pid, signal.SIGKILL)

    outcomes = together(tmp_path, SLOW, SLOW, at=kill_the_first)
    rows = {result.arm: (result.status, result.stage) for outcome in outcomes for result in outcome.results}
    assert rows == {"0": ("crashed", "steady"), "1": ("ok", "check")}


def test_an_interruption_leaves_no_stopped_process_behind(tmp_path: Path) -> None:
    def interrupt(request: LaunchRequest) -> None:
        if request.arm == "2":
            assert len(marked(f"{RUN}/")) == 3, "a worker with a child of its own, and another worker"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        together(tmp_path, f"{PATH}[fault=stray]", SLOW, SLOW, at=interrupt)
    assert gone(ours)


_SUPERVISOR = """
import sys, time
from pathlib import Path
from tests.engine.test_turns import PATH, RUN, SLOW, marked, together

def wait(request):
    if request.arm == "2":
        print(*marked(f"{RUN}/"), flush=True)
        time.sleep(60)

together(Path(sys.argv[1]), f"{PATH}[fault=stray]", SLOW, SLOW, at=wait)
"""


def test_a_supervisor_that_is_killed_leaves_no_stopped_process_behind(tmp_path: Path) -> None:
    supervisor = subprocess.Popen([sys.executable, "-c", _SUPERVISOR, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    pids = [int(word) for word in supervisor.stdout.readline().split()]
    assert len(pids) == 3
    assert {psutil.Process(pid).status() for pid in pids} == {psutil.STATUS_STOPPED}
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    assert gone(lambda: [pid for pid in pids if psutil.pid_exists(pid)])
