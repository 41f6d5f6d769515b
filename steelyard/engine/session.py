"""The rounds of one segment: every arm once per round in a fresh process, until a cap or the precision is reached."""

import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from steelyard.core.backend import Device
from steelyard.core.case import Arm
from steelyard.core.lowered import LoweredPoint
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import LaunchRecord, Result
from steelyard.engine.asking import Asking, lowering_rows
from steelyard.engine.at_once import at_once, run_at_once
from steelyard.engine.launch import LaunchInterrupted, LaunchOutcome, run_launch
from steelyard.engine.metering import metering_s
from steelyard.engine.own_code import changed, noted
from steelyard.engine.pacing import Pacing
from steelyard.engine.plan import Plan
from steelyard.engine.protocol import CaseRequest, LaunchRequest
from steelyard.engine.room import ON, Arrangement, Free, arranged, free_now
from steelyard.engine.rounds import Orders
from steelyard.engine.sink import Sink
from steelyard.engine.turns import Together
from steelyard.guard.contamination import contaminated_rounds, stolen_launches, unpaired_rounds
from steelyard.guard.spin_meter import SpinMeter
from steelyard.hardware.processors import step_aside
from steelyard.measure.process_memory import read_peak


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionResult:
    """What a session did: the complete rounds, why it ended, what the supervisor itself used; `disturbed`
    (contaminated rounds with the evidence), `turns` and `groups` as the stored segment says them."""

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
    is how many launches these had: no two launches of a run have one name. `free` tells what memory launches may use,
    `traces` where launches of a traced run put their files.
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
        traces: Path | None = None,
    ) -> None:
        self._plan = plan
        self._sink = sink
        self._started_s = started_s
        self._first_round = first_round
        self._pacing = Pacing(plan, started_s)
        self._asking = Asking(
            plan,
            lowered,
            self._pacing,
            run_id=run_id,
            work=work,
            first_round=first_round,
            launched=launched,
            traces=traces,
        )
        # What failed otherwise may have been mended, or get more time: it is tried again.
        self._asking.remember(result for result in earlier if result.status == "unsupported")
        self._ruled_out = lowering_rows(plan, self._asking, unlowered, earlier)
        # Where nothing is timed round 0 is one like all others.
        self._planned = max(0, plan.maximum_rounds - (not plan.request.timed))
        self._metering_s = metering_s(plan.request.energy, plan.request.device)
        self._supervisor_cpu_s = 0.0
        self._records: list[LaunchRecord] = []
        self._spoiled: set[int] = set()  # the warm rounds each of which asks for another
        self._arms = {arm.label: arm for arm in plan.arms}
        self._free = free
        self._arranged = Arrangement(turns="", groups=(tuple(self._arms),))
        self._orders = self._drawn()
        self._cold: list[Result] = []
        self._warm: list[Result] = []  # of the round under way
        self._complete: list[int] = []
        self._meter: SpinMeter | None = None

    def run(self) -> SessionResult:
        """The cold round, then whole rounds. Ctrl-C ends it and keeps every finished launch.

        A contaminated round does not count towards the planned number: another is appended for
        it, but no more than `Plan.repeats` and never beyond the time.
        """
        plan, request = self._plan, self._plan.request
        begun = time.monotonic()
        affinity = os.sched_getaffinity(0)
        step_aside(request.budget.cpus)
        ended = "rounds"
        opened = ExitStack()
        try:
            if request.device.kind == "cpu":  # elsewhere the CPUs rest while the device works, and so does their clock
                self._meter = opened.enter_context(SpinMeter(request.budget.cpus))
            for result in self._ruled_out:
                self._keep(result)
            self._round(0, steady=False)
            self._complete.append(0)
            lasted_s = time.monotonic() - begun
            if request.timed and not request.attempt:
                self._arrange()
                self._pacing.saw_cold(self._cold, self._launches_a_bundle)
                self._plan_on()
            for number in range(self._first_round, self._first_round + self._planned + plan.repeats):
                if self._uncontaminated() >= self._planned:
                    break
                if not self._pacing.holds_another(lasted_s):
                    ended = "time"
                    break
                round_begun, self._warm, launched = time.monotonic(), [], len(self._records)
                self._round(number, steady=request.timed)
                if len(self._records) == launched:
                    ended = "nothing_left"
                    break
                self._complete.append(number)
                lasted_s = time.monotonic() - round_begun
                if not request.timed:
                    continue
                self._pacing.saw_warm(self._warm, lasted_s)
                self._judge(number)
                self._plan_on()
                enough = self._sink.round_ends(number)
                if enough and self._uncontaminated() >= plan.minimum_rounds:
                    ended = "precision"
                    break
        except (LaunchInterrupted, KeyboardInterrupt):
            ended = "interrupted"
        finally:
            opened.close()
            os.sched_setaffinity(0, affinity)
        return SessionResult(
            rounds=tuple(self._complete),
            ended=ended,
            supervisor=self._supervisor(time.monotonic() - begun),
            disturbed={
                number: text for number, text in contaminated_rounds(self._records).items() if number in self._complete
            },
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

    def _uncontaminated(self) -> int:
        """How many of the complete warm rounds count towards the planned number."""
        return len({*self._complete} - {0} - self._spoiled)

    def _last(self) -> int:
        """The number of the last round that may come, as far as it is known."""
        return self._first_round - 1 + self._planned + min(len(self._spoiled), self._plan.repeats)

    def _judge(self, number: int) -> None:
        """What others spoiled of the round that has ended, by the noise guard's readings alone."""
        stolen, contaminated = stolen_launches(self._records).values(), contaminated_rounds(self._records)
        unpaired = unpaired_rounds(self._records, self._plan.arms, self._plan.baseline.label)
        self._spoiled = {*contaminated, *unpaired} - {0}
        another = len(self._spoiled) <= self._plan.repeats
        what_follows = "another is appended for it" if another else "no further round can be appended for it"
        if number in contaminated:
            self._sink.note(f"round {number} was contaminated; {what_follows}: {contaminated[number]}")
            return
        for lost in stolen:
            if lost.round == number:
                more = f"; {what_follows}" if number in unpaired else ""
                self._sink.note(f"round {number}: the times of a launch of {lost.arm} are left out{more}: {lost.told}")

    def _plan_on(self) -> None:
        """Share out the rest of the time, and tell what follows from it."""
        if told := self._pacing.plan_on(self._uncontaminated()):
            self._sink.note(told)

    def _round(self, number: int, *, steady: bool) -> None:
        launches = self._launches_a_bundle * len(self._plan.bundles)
        self._sink.round_begins(number, self._last(), self._pacing.remaining_s(self._uncontaminated()), launches)
        timeouts = self._plan.request.timeouts
        if (count := at_once(self._plan.request)) > 1:
            self._at_once(number, count)
            return
        how: dict[str, Any] = {
            "timeouts": {**timeouts, "energy": timeouts["energy"] + self._metering_s},
            "origin_s": self._started_s,
            "on_event": self._sink.event,
            "meter": self._meter,
        }
        in_turns = steady and self._arranged.turns == ON
        for bundle, orders in zip(self._plan.bundles, self._orders, strict=True):
            points = [point.key for point in self._asking.ordered(bundle, number)]
            for requests in self._asking.of_bundle(bundle, orders, number, steady=steady, in_turns=in_turns):
                if in_turns:
                    beside = [dataclasses.replace(request, beside=len(requests) - 1) for request in requests]
                    sweeps = orders.sweeps[requests[0].group]
                    Together(beside, sweeps, points=points, begin=self._begin, keep=self._ended, **how).run()
                else:
                    for request in requests:
                        self._begin(request)
                        self._ended(request, run_launch(request, **how))

    def _at_once(self, number: int, count: int) -> None:
        """A round of which nothing is timed, several launches at a time."""
        self._sink.note(f"{count} launches at a time, since nothing is timed")
        made = (
            self._asking.of_bundle(bundle, orders, number, steady=False, in_turns=False)
            for bundle, orders in zip(self._plan.bundles, self._orders, strict=True)
        )
        requests = [request for groups in made for group in groups for request in group]
        run_at_once(
            requests,
            count,
            begin=self._begin,
            keep=self._ended,
            timeouts=self._plan.request.timeouts,
            origin_s=self._started_s,
        )

    def _begin(self, request: LaunchRequest) -> None:
        """A launch begins. A cold one finds nothing of an earlier launch; of traced ones only the first is cold."""
        self._sink.launch_begins(self._arms[request.arm], request.round, request.position)
        if not request.steady and not (request.traces and request.round):
            shutil.rmtree(request.compile_cache, ignore_errors=True)

    def _ended(self, request: LaunchRequest, outcome: LaunchOutcome) -> None:
        """A launch ended: keep what came of it."""
        results = self._checked(self._arms[request.arm], request.cases, outcome.results)
        shutil.rmtree(request.scratch, ignore_errors=True)
        self._supervisor_cpu_s += outcome.record.supervisor_cpu_s
        self._records.append(outcome.record)
        self._sink.launch(outcome.record)
        for result in results:
            self._keep(result)

    def _checked(self, arm: Arm, cases: tuple[CaseRequest, ...], results: Sequence[Result]) -> list[Result]:
        """The results with the code that they come from; failed where that is no longer what the run began with."""
        code = self._plan.code.get(arm.backend.text, {})
        told = changed(arm.backend, code, [case.lowered for case in cases])
        if told:
            return [dataclasses.replace(result, status="failed", reason=told) for result in results]
        return [noted(result, code) for result in results]

    def _keep(self, result: Result) -> None:
        self._asking.remember([result])
        (self._cold if result.round == 0 else self._warm).append(result)
        self._sink.result(result)

    def _supervisor(self, wall_s: float) -> dict[str, Reading]:
        spare = os.sched_getaffinity(0) - set(self._plan.request.budget.cpus)
        where = "on a CPU of its own" if spare else "shares the measured CPUs: the host has no spare one"
        share = (
            Reading(value=self._supervisor_cpu_s / wall_s, unit="1", method=f"CPU time during launches; {where}")
            if wall_s > 0
            else absent("1", "nothing ran")
        )
        return {"cpu_share": share, "peak_bytes": read_peak()}
