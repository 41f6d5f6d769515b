"""What the launches of a round are asked: which cases an arm still runs, in which order, with which windows."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from steelyard.core.case import Arm
from steelyard.core.hashing import stable_hash
from steelyard.core.latency_bound import is_beyond
from steelyard.core.lowered import LoweredPoint
from steelyard.core.result import Result
from steelyard.core.workload import Point
from steelyard.engine.pacing import Pacing
from steelyard.engine.plan import Plan
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from steelyard.engine.rounds import Orders, rotated, turn_lengths
from steelyard.engine.turns import turn_s
from steelyard.lowering.installation import installation_folder

_MAXIMUM_CALLS = 5_000
_CAP_FACTOR = 10.0
LOWERING = "lowering"
"""In the place of a launch's name."""
_NUMBER = re.compile(r"\d[\w.+-]*")


class Asking:
    """Makes the requests of a segment. Knows which cases failed before: one that failed twice for one reason is not
    launched a third time.

    `launched` is how many launches earlier segments had: no two launches of a run have one name. `traces` is where
    those of a traced run put their files.
    """

    def __init__(
        self,
        plan: Plan,
        lowered: Mapping[str, LoweredPoint],
        pacing: Pacing,
        *,
        run_id: str,
        work: Path,
        first_round: int,
        launched: int,
        traces: Path | None = None,
    ) -> None:
        self._plan, self._lowered, self._pacing = plan, lowered, pacing
        self._run_id, self._work, self._first_round = run_id, work, first_round
        self._launches, self._traces = launched, traces
        self._installation = installation_folder()
        self._arms = {arm.label: arm for arm in plan.arms}
        self._failures: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        self._beyond: set[tuple[str, str]] = set()

    def remember(self, results: Iterable[Result]) -> None:
        """Failures, so that a case is not launched a third time for the same one, whatever numbers it names;
        `unsupported` is final at once, and so is what lies far beyond the latency bound."""
        for result in results:
            if result.round == 0 and is_beyond(result.phases, self._plan.request.latency_bound_s):
                self._beyond.add((result.arm, result.case_id))
            seen = self._failures[result.arm, result.case_id]
            if result.status == "unsupported":
                seen += [(result.stage, result.reason)] * 2
            elif result.status not in ("ok", "skipped"):
                seen.append((result.stage, _NUMBER.sub("#", result.reason)))

    def of_bundle(
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
                self._request(self._arms[label], bundle, number, position, group, cases[label], steady=steady)
                for position, label in launched
            ]
            for group, launched in worthwhile or [each for each in places if each[1]][:1]
        ]

    def ordered(self, bundle: tuple[Point, ...], number: int) -> tuple[Point, ...]:
        """The points of a bundle in the order of a round: the headline first in the cold one, another first in each
        later one."""
        if number > 0:
            return rotated(bundle, number - 1)
        headline = self._plan.suite.headline
        return tuple(sorted(bundle, key=lambda point: point.workload != headline))

    def missing(self, arm: Arm, point: Point) -> str:
        """Why a format that the arm needs could not be made for the point; '' if it could."""
        for lowered in self._lowered[point.key].programs.values():
            for name in self._plan.formats[arm.backend.text]:
                if name in lowered.failures:
                    return lowered.failures[name]
        return ""

    def _request(
        self,
        arm: Arm,
        bundle: tuple[Point, ...],
        number: int,
        position: int,
        group: int,
        cases: tuple[CaseRequest, ...],
        *,
        steady: bool,
    ) -> LaunchRequest:
        request = self._plan.request
        self._launches += 1
        # Of each bundle one: a cold launch empties its own, and finds nothing of another.
        compile_cache = self._work / "compile" / f"arm-{self._plan.arms.index(arm)}-{bundle[0].key}"
        return LaunchRequest(
            launch=f"{self._run_id}/{self._first_round}-{self._launches:04d}",
            arm=arm.label,
            round=number,
            position=position,
            backend=arm.backend,
            device=request.device,
            budget=request.budget,
            compile_cache=str(compile_cache),
            scratch=str(self._work / f"launch-{self._launches:04d}"),
            seed=int(stable_hash([request.seed, self._first_round, number, position], 8), 16),
            steady=steady,
            cases=cases,
            bound=1 if request.attempt else None,
            energy=request.energy,
            group=group,
            traces="" if self._traces is None else str(self._traces),
            streams=bundle[0].streams,
            installation=str(self._installation or ""),
        )

    def _cases(self, arm: Arm, bundle: tuple[Point, ...], number: int, *, in_turns: bool) -> tuple[CaseRequest, ...]:
        """The arm's cases in the round's order.

        Cases that failed before come last, so that a crash takes no other case with it; a case that
        failed twice at the same stage for the same reason is not launched again.
        """
        cases = []
        for point in self.ordered(bundle, number):
            case = self._plan.case(arm, point)
            failures = self._failures[arm.label, case.id]
            runnable = point.key in self._lowered and not self.missing(arm, point)
            if not runnable or (len(failures) > 1 and failures[-1] == failures[-2]):
                continue
            if (arm.label, case.id) in self._beyond:
                continue
            pace = self._pace(point, number, in_turns=in_turns)
            lowered = self._lowered[point.key].within(case.tolerance)
            cases.append((bool(failures), CaseRequest(case_id=case.id, lowered=lowered, pace=pace)))
        return tuple(case for _, case in sorted(cases, key=lambda entry: entry[0]))

    def _pace(self, point: Point, number: int, *, in_turns: bool) -> Pace:
        window_s, request = self._pacing.windows[point.key], self._plan.request
        return Pace(
            seconds=window_s,
            minimum=self._pacing.minimum[point.key],
            maximum=_MAXIMUM_CALLS,
            cap_s=request.window_s * _CAP_FACTOR,
            turn_s=turn_s(window_s) if in_turns else None,
            # All launches of a round have long turns in the same sweeps.
            lengths=turn_lengths(request.piece, (number << 32) + request.seed),
        )


def lowering_rows(
    plan: Plan, asking: Asking, unlowered: Mapping[str, str], earlier: Sequence[Result]
) -> tuple[Result, ...]:
    """One row for each case that lowering has ruled out and that no earlier segment has a row of. `unlowered` says by
    point key why a point could not be lowered at all."""
    known = {(result.arm, result.case_id) for result in earlier if result.launch == LOWERING}
    rows = []
    for arm in plan.arms:
        for point in plan.points:
            reason = unlowered[point.key] if point.key in unlowered else asking.missing(arm, point)
            case_id = plan.case(arm, point).id
            if reason and (arm.label, case_id) not in known:
                rows.append(
                    Result(
                        case_id=case_id,
                        arm=arm.label,
                        round=0,
                        position=0,
                        launch=LOWERING,
                        status="failed" if point.key in unlowered else "unsupported",
                        stage="lower",
                        reason=reason,
                    )
                )
    return tuple(rows)
