"""The rounds of one segment: every arm once per round in a fresh process, until a cap or the precision is reached."""

import dataclasses
import os
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from steelyard.core.backend import Device
from steelyard.core.case import Arm
from steelyard.core.hashing import stable_hash
from steelyard.core.lowered import LoweredPoint
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import LaunchRecord, Result
from steelyard.core.workload import Point
from steelyard.engine.launch import Interrupted, Outcome, run_launch
from steelyard.engine.metering import metering_s
from steelyard.engine.own_code import changed, noted
from steelyard.engine.pacing import Pacing
from steelyard.engine.plan import Plan
from steelyard.engine.protocol import CaseRequest, Event, LaunchRequest, Pace
from steelyard.engine.room import ON, Arrangement, Free, arranged, free_now
from steelyard.engine.rounds import Orders, rotated, turn_lengths
from steelyard.engine.turns import Together, turn_s
from steelyard.guard.disturbance import disturbed_rounds
from steelyard.guard.spin_meter import SpinMeter
from steelyard.measure.memory import read_peak

_MAXIMUM_CALLS = 5_000
_CAP_FACTOR = 10.0
_NUMBER = re.compile(r"\d[\w.+-]*")
_LOWERING = "lowering"  # in the place of a launch's name


class Sink(Protocol):
    """Where what happens goes: the store, and the screen."""

    def launch(self, record: LaunchRecord) -> None:
        """A launch ended."""

    def result(self, result: Result) -> None:
        """A case ended."""

    def round_begins(self, number: int, last: int, remaining_s: float | None, launches: int) -> None:
        """A round of so many launches begins; round 0 is the cold one, `last` the number of the last that may come;
        `remaining_s` is about how long the run has to go, None where that is not known."""

    def round_ends(self, number: int) -> bool:
        """A warm round is complete. Whether the intervals are as narrow as asked for; never sees a verdict."""

    def launch_begins(self, arm: Arm, number: int, position: int) -> None:
        """A launch begins."""

    def event(self, event: Event) -> None:
        """The worker said something."""

    def note(self, text: str) -> None:
        """Something the user should know."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What a session did: the complete rounds, why it ended, what the supervisor itself used, and which of the
    rounds were disturbed by whom, and `turns` and `groups` as the stored segment says them."""

    rounds: tuple[int, ...]
    ended: str
    supervisor: Mapping[str, Reading]
    disturbed: Mapping[int, str]
    turns: str = ""
    groups: str = ""


class Session:
    """Runs one segment.

    `unlowered` says by point key why a point could not be lowered. `first_round` is 1 for a new run,
    the next free number for a resumed one. `earlier` are the results of the segments before this one, and `launched`
    is how many launches these had: no two launches of a run have one name. `free` tells what memory launches may use.
    """

    def __init__(
        self,
        plan: Plan,
        lowered: Mapping[str, LoweredPoint],
        unlowered: Mapping[str, str],
        sink: Sink,
        *,
        run_id: str,
        work: Path,
        started_s: float,
        first_round: int = 1,
        earlier: Sequence[Result] = (),
        launched: int = 0,
        free: Callable[[Device], Free] = free_now,
    ) -> None:
        self._plan = plan
        self._lowered = lowered
        self._unlowered = unlowered
        self._sink = sink
        self._run_id = run_id
        self._work = work
        self._started_s = started_s
        self._first_round = first_round
        self._failures: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for result in earlier:
            self._remember(result)
        self._ruled_out = {(result.arm, result.case_id) for result in earlier if result.launch == _LOWERING}
        self._pacing = Pacing(plan, started_s)
        # Of cold starts round 0 is one.
        self._planned = max(0, plan.maximum_rounds - (plan.request.scenario == "cold-start"))
        self._metering_s = metering_s(plan.request.energy, plan.request.device)
        self._supervisor_cpu_s = 0.0
        self._records: list[LaunchRecord] = []
        self._disturbed: Mapping[int, str] = {}
        self._launches = launched
        self._arms = {arm.label: arm for arm in plan.arms}
        self._free = free
        self._arranged = Arrangement(turns="", groups=(tuple(self._arms),))
        self._orders = self._drawn()
        self._cold: list[Result] = []
        self._warm: list[Result] = []  # of the round under way
        self._complete: list[int] = []
        self._meter: SpinMeter | None = None

    def run(self) -> Segment:
        """The cold round, then whole rounds. Ctrl-C ends it and keeps every finished launch.

        A round that a neighbour disturbed does not count towards the planned number: another is appended for
        it, but no more than `Plan.repeats` and never beyond the time.
        """
        plan, request = self._plan, self._plan.request
        cold_start = request.scenario == "cold-start"
        begun = time.monotonic()
        affinity = os.sched_getaffinity(0)
        _step_aside(request.budget.cpus)
        complete = self._complete
        ended = "rounds"
        opened = ExitStack()
        try:
            if request.device.kind == "cpu":  # elsewhere the CPUs rest while the device works, and so does their clock
                self._meter = opened.enter_context(SpinMeter(request.budget.cpus))
            self._unsupported()
            self._round(0, steady=False)
            complete.append(0)
            lasted_s = time.monotonic() - begun
            if not (cold_start or request.attempt):
                self._arrange()
                self._pacing.saw_cold(self._cold, self._launches_a_bundle)
                self._plan_on()
            for number in range(self._first_round, self._first_round + self._planned + plan.repeats):
                if self._undisturbed() >= self._planned:
                    break
                if self._pacing.left_s() < (self._pacing.round_s or lasted_s):
                    ended = "time"
                    break
                round_begun, self._warm = time.monotonic(), []
                self._round(number, steady=not cold_start)
                complete.append(number)
                lasted_s = time.monotonic() - round_begun
                if cold_start:
                    continue
                self._pacing.saw_warm(self._warm, lasted_s)
                self._judge(number)
                self._plan_on()
                enough = self._sink.round_ends(number)
                if enough and self._undisturbed() >= plan.minimum_rounds:
                    ended = "precision"
                    break
        except (Interrupted, KeyboardInterrupt):
            ended = "interrupted"
        finally:
            opened.close()
            os.sched_setaffinity(0, affinity)
        return Segment(
            rounds=tuple(complete),
            ended=ended,
            supervisor=self._supervisor(time.monotonic() - begun),
            disturbed={number: text for number, text in disturbed_rounds(self._records).items() if number in complete},
            turns=self._arranged.turns,
            groups=self._arranged.why,
        )

    def _arrange(self) -> None:
        """After the cold round: which launches of the warm ones are alive together."""
        self._arranged = arranged(self._plan, self._cold, self._free(self._plan.request.device))
        if self._arranged.why:
            self._orders = self._drawn()
            count = len(self._arranged.groups)
            self._sink.note(f"the launches of a round take turns in {count} groups: {self._arranged.why}")
        elif self._plan.request.turns and self._arranged.turns != ON:
            self._sink.note(f"the launches of a round run one after the other: {self._arranged.turns}")

    def _drawn(self) -> list[Orders]:
        """The orders of the groups: one for each bundle, which would have no balance if it drew every second order of a
        common square."""
        first = self._plan.request.seed + self._first_round
        return [Orders(self._arranged.groups, (bundle << 32) + first) for bundle in range(len(self._plan.bundles))]

    @property
    def _launches_a_bundle(self) -> int:
        """How many launches of a round a bundle has."""
        return sum(map(len, self._arranged.groups))

    def _undisturbed(self) -> int:
        """How many of the complete warm rounds count."""
        return sum(1 for number in self._complete if number > 0 and number not in self._disturbed)

    def _spent(self) -> int:
        """How many warm rounds of this segment were disturbed, each of which asks for another."""
        return sum(1 for number in self._disturbed if number > 0)

    def _last(self) -> int:
        """The number of the last round that may come, as far as it is known."""
        return self._first_round - 1 + self._planned + min(self._spent(), self._plan.repeats)

    def _judge(self, number: int) -> None:
        """Whether the round that has ended was disturbed, by the noise guard's readings alone."""
        self._disturbed = disturbed_rounds(self._records)
        if number in self._disturbed:
            another = self._spent() <= self._plan.repeats
            outlook = "another is appended for it" if another else "no further round can be appended for it"
            self._sink.note(f"round {number} was disturbed; {outlook}: {self._disturbed[number]}")

    def _plan_on(self) -> None:
        """Share out the rest of the time, and tell what follows from it."""
        if told := self._pacing.plan_on(self._undisturbed()):
            self._sink.note(told)

    def _round(self, number: int, *, steady: bool) -> None:
        launches = self._launches_a_bundle * len(self._plan.bundles)
        self._sink.round_begins(number, self._last(), self._pacing.remaining_s(self._undisturbed()), launches)
        timeouts = self._plan.request.timeouts
        how: dict[str, Any] = {
            "timeouts": {**timeouts, "energy": timeouts["energy"] + self._metering_s},
            "origin_s": self._started_s,
            "on_event": self._sink.event,
            "meter": self._meter,
        }
        in_turns = steady and self._arranged.turns == ON
        for bundle, orders in zip(self._plan.bundles, self._orders, strict=True):
            points = [point.key for point in self._ordered(bundle, number)]
            for requests in self._requests(bundle, orders, number, steady=steady, in_turns=in_turns):
                if in_turns:
                    beside = [dataclasses.replace(request, beside=len(requests) - 1) for request in requests]
                    sweeps = orders.sweeps[requests[0].group]
                    Together(beside, sweeps, points=points, begin=self._begin, keep=self._ended, **how).run()
                else:
                    for request in requests:
                        self._begin(request)
                        self._ended(request, run_launch(request, **how))

    def _requests(
        self, bundle: tuple[Point, ...], orders: Orders, number: int, *, steady: bool, in_turns: bool
    ) -> list[list[LaunchRequest]]:
        """The launches of a bundle in a round, by group in their order. Positions go on from group to group. A group in
        which nothing is left to be compared with the baseline is left out, unless no other has a launch."""
        cases = {label: self._cases(arm, bundle, number, in_turns=in_turns) for label, arm in self._arms.items()}
        places: list[tuple[int, list[tuple[int, str]]]] = []
        begun = 0
        for group, order in orders.of_round():
            launched = [(begun + place, label) for place, label in enumerate(order) if cases[label]]
            begun += len(order)
            places.append((group, launched))
        baseline = self._plan.baseline.label
        worthwhile = [each for each in places if any(label != baseline for _, label in each[1])]
        return [
            [
                self._request(self._arms[label], number, position, group, cases[label], steady=steady)
                for position, label in launched
            ]
            for group, launched in worthwhile or [each for each in places if each[1]][:1]
        ]

    def _begin(self, request: LaunchRequest) -> None:
        """A launch begins. A cold one finds nothing of an earlier launch."""
        self._sink.launch_begins(self._arms[request.arm], request.round, request.position)
        if not request.steady:
            shutil.rmtree(request.compile_cache, ignore_errors=True)

    def _ended(self, request: LaunchRequest, outcome: Outcome) -> None:
        """A launch ended: keep what came of it."""
        results = self._checked(self._arms[request.arm], request.cases, outcome.results)
        shutil.rmtree(request.scratch, ignore_errors=True)
        self._supervisor_cpu_s += outcome.record.supervisor_cpu_s
        self._records.append(outcome.record)
        self._sink.launch(outcome.record)
        for result in results:
            self._keep(result)

    def _request(
        self, arm: Arm, number: int, position: int, group: int, cases: tuple[CaseRequest, ...], *, steady: bool
    ) -> LaunchRequest:
        request = self._plan.request
        self._launches += 1
        name = f"{self._run_id}/{self._first_round}-{self._launches:04d}"
        scratch = self._work / f"launch-{self._launches:04d}"
        weights = next(iter(cases[0].lowered.programs.values())).program.weights.key
        compile_cache = self._work / "compile" / f"arm-{self._plan.arms.index(arm)}-{weights}"
        return LaunchRequest(
            launch=name,
            arm=arm.label,
            round=number,
            position=position,
            backend=arm.backend,
            device=request.device,
            budget=request.budget,
            compile_cache=str(compile_cache),
            scratch=str(scratch),
            seed=int(stable_hash([request.seed, self._first_round, number, position], 8), 16),
            steady=steady,
            cases=cases,
            bound=1 if request.attempt else None,
            energy=request.energy,
            group=group,
        )

    def _checked(self, arm: Arm, cases: tuple[CaseRequest, ...], results: Sequence[Result]) -> list[Result]:
        """The results with the code that they come from; failed where that is no longer what the run began with."""
        code = self._plan.code.get(arm.backend.text, {})
        told = changed(arm.backend, code, [case.lowered for case in cases])
        if told:
            return [dataclasses.replace(result, status="failed", reason=told) for result in results]
        return [noted(result, code) for result in results]

    def _cases(self, arm: Arm, bundle: tuple[Point, ...], number: int, *, in_turns: bool) -> tuple[CaseRequest, ...]:
        """The arm's cases: the headline first in the cold round, another first in each later one.

        Cases that failed before come last, so that a crash takes no other case with it; a case that
        failed twice at the same stage for the same reason is not launched again.
        """
        cases = []
        for point in self._ordered(bundle, number):
            case = self._plan.case(arm, point)
            failures = self._failures[arm.label, case.id]
            if not self._runnable(arm, point) or (len(failures) > 1 and failures[-1] == failures[-2]):
                continue
            window_s = self._pacing.windows[point.key]
            pace = Pace(
                seconds=window_s,
                minimum=self._pacing.minimum[point.key],
                maximum=_MAXIMUM_CALLS,
                cap_s=self._plan.request.window_s * _CAP_FACTOR,
                turn_s=turn_s(window_s) if in_turns else None,
                # All launches of a round have long turns in the same sweeps.
                lengths=turn_lengths(self._plan.request.piece, (number << 32) + self._plan.request.seed),
            )
            lowered = self._lowered[point.key].within(case.tolerance)
            cases.append((bool(failures), CaseRequest(case_id=case.id, lowered=lowered, pace=pace)))
        return tuple(case for _, case in sorted(cases, key=lambda entry: entry[0]))

    def _ordered(self, bundle: tuple[Point, ...], number: int) -> tuple[Point, ...]:
        if number > 0:
            return rotated(bundle, number - 1)
        headline = self._plan.suite.headline
        return tuple(sorted(bundle, key=lambda point: point.workload != headline))

    def _runnable(self, arm: Arm, point: Point) -> bool:
        return point.key in self._lowered and not self._missing(arm, point)

    def _missing(self, arm: Arm, point: Point) -> str:
        """Why a format that the arm needs could not be made for the point; '' if it could."""
        for lowered in self._lowered[point.key].programs.values():
            for name in self._plan.formats[arm.backend.text]:
                if name in lowered.failures:
                    return f"{name} of {lowered.program.name}: {lowered.failures[name]}"
        return ""

    def _unsupported(self) -> None:
        """One row for each case that lowering has ruled out and that no earlier segment has a row of."""
        for arm in self._plan.arms:
            for point in self._plan.points:
                reason = self._missing(arm, point) if point.key in self._lowered else self._unlowered[point.key]
                case_id = self._plan.case(arm, point).id
                if reason and (arm.label, case_id) not in self._ruled_out:
                    self._keep(
                        Result(
                            case_id=case_id,
                            arm=arm.label,
                            round=0,
                            position=0,
                            launch=_LOWERING,
                            status="unsupported" if point.key in self._lowered else "failed",
                            stage="lower",
                            reason=reason,
                        )
                    )

    def _keep(self, result: Result) -> None:
        self._remember(result)
        (self._cold if result.round == 0 else self._warm).append(result)
        self._sink.result(result)

    def _remember(self, result: Result) -> None:
        """Failures, so that a case is not launched a third time for the same one, whatever numbers it names;
        `unsupported` is final at once."""
        seen = self._failures[result.arm, result.case_id]
        if result.status == "unsupported":
            seen += [(result.stage, result.reason)] * 2
        elif result.status not in ("ok", "skipped"):
            seen.append((result.stage, _NUMBER.sub("#", result.reason)))

    def _supervisor(self, wall_s: float) -> dict[str, Reading]:
        spare = os.sched_getaffinity(0) - set(self._plan.request.budget.cpus)
        where = "on a CPU of its own" if spare else "shares the measured CPUs: the host has no spare one"
        share = (
            Reading(value=self._supervisor_cpu_s / wall_s, unit="1", method=f"CPU time during launches; {where}")
            if wall_s > 0
            else absent("1", "nothing ran")
        )
        return {"cpu_share": share, "peak_bytes": read_peak()}


def _step_aside(measured: tuple[int, ...]) -> None:
    """Leave the measured CPUs to the workers where the host has a spare one."""
    spare = os.sched_getaffinity(0) - set(measured)
    if measured and spare:
        os.sched_setaffinity(0, spare)
