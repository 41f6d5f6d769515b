"""A run, indexed for the tables: points and arms in printing order, outcomes, comparisons, summaries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from steelyard.analysis import (
    BreakEven,
    DetectableEffect,
    Overall,
    Summary,
    break_even,
    compare_run,
    launch_medians,
    overall,
    pilot,
    set_aside,
    summaries,
)
from steelyard.analysis.efficiency import Efficiency, Goodput, Machine, efficiency, goodput
from steelyard.analysis.sides import Sides, sides_of
from steelyard.analysis.summary import locations
from steelyard.core.case import Arm, Case
from steelyard.core.comparison import Comparison, Estimate
from steelyard.core.result import Place, Result
from steelyard.core.run import Run
from steelyard.core.workload import Point
from steelyard.tables import point_labels
from steelyard.tables.outcome import Outcome, never_launched, outcome_of


@dataclass(frozen=True)
class Facts:
    """Everything that is known about one run, each part computed when it is first asked for. Built by `gather`."""

    run: Run

    @cached_property
    def sides(self) -> Sides:
        """The run by point and arm: what each launch measured."""
        return sides_of(self.run)

    @cached_property
    def always_cold(self) -> bool:
        """Whether the scenario is one in which no launch finds anything in a compile cache."""
        return all(case.scenario in ("cold-start", "correctness") for case in self.run.manifest.cases)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Every arm against the baseline, with its verdict."""
        return compare_run(self.run, sides=self.sides)

    @cached_property
    def summaries(self) -> tuple[Summary, ...]:
        """Every arm at every point by itself: times, spread, percentiles, start, memory."""
        return summaries(self.run, sides=self.sides)

    @cached_property
    def overall(self) -> tuple[Overall, ...]:
        """One mean ratio for each arm, where the run has several points."""
        return overall(self.run, sides=self.sides)

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """Every point once, by workload, the headline workload first, otherwise in the plan's order."""
        found = {case.point.key: case.point for case in self.run.manifest.cases}
        headline = self.run.manifest.headline
        names = list(dict.fromkeys(point.workload for point in found.values()))
        return tuple(sorted(found.values(), key=lambda p: (p.workload != headline, names.index(p.workload))))

    @cached_property
    def workloads(self) -> tuple[str, ...]:
        """Workload names, the headline first."""
        return tuple(dict.fromkeys(point.workload for point in self.points))

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """The arms but for the control: the baseline first, the others in the order in which they were named."""
        baseline = self.run.manifest.baseline
        return tuple(
            sorted((arm for arm in self.run.manifest.arms if not arm.control), key=lambda a: a.label != baseline)
        )

    @cached_property
    def control(self) -> Arm | None:
        """The control arm, if the run had one."""
        return next((arm for arm in self.run.manifest.arms if arm.control), None)

    def at(self, workload: str) -> tuple[Point, ...]:
        """The points of a workload."""
        return tuple(point for point in self.points if point.workload == workload)

    def varying(self, points: Sequence[Point]) -> tuple[str, ...]:
        """The axes on which these points differ."""
        return point_labels.varying(points)

    def constant(self, points: Sequence[Point]) -> str:
        """The axes on which they agree, as `name=value` words."""
        return point_labels.constant(points)

    @cached_property
    def _labels(self) -> Mapping[str, str]:
        return point_labels.labels(self.points)

    def label(self, point: Point) -> str:
        """The shortest name that tells a point from the others of this run."""
        return self._labels[point.key]

    @cached_property
    def _results(self) -> Mapping[tuple[str, str], tuple[Result, ...]]:
        points = {case.id: case.point.key for case in self.run.manifest.cases}
        found: dict[tuple[str, str], list[Result]] = {}
        for result in self.run.results:
            if result.case_id in points:
                found.setdefault((result.arm, points[result.case_id]), []).append(result)
        return {key: tuple(sorted(results, key=lambda r: (r.round, r.position))) for key, results in found.items()}

    @cached_property
    def _cases(self) -> Mapping[str, Mapping[str, Case]]:
        found: dict[str, dict[str, Case]] = {}
        for case in self.run.manifest.cases:
            found.setdefault(case.point.key, {}).setdefault(case.backend.text, case)
        return found

    def cases_at(self, point: Point) -> Mapping[str, Case]:
        """The cases of a point by backend as it was named, in the plan's order."""
        return self._cases[point.key]

    def stated(self, arm: Arm, point: Point) -> str:
        """The tolerance that was stated for an arm at a point, and by whom; empty without one."""
        case = self.cases_at(point).get(arm.backend.text)
        return "" if case is None else case.stated

    def results(self, arm: Arm, point: Point) -> tuple[Result, ...]:
        """Every result of an arm at a point, by round."""
        return self._results.get((arm.label, point.key), ())

    @cached_property
    def _distinct_results(self) -> Mapping[tuple[str, str], tuple[Result, ...]]:
        found: dict[tuple[str, str], dict[tuple[int, int, int], Result]] = {}
        for name, results in self._results.items():
            first = found.setdefault(name, {})
            for result in results:
                first.setdefault((id(result.proof), id(result.idiom), id(result.options)), result)
        return {name: tuple(first.values()) for name, first in found.items()}

    def distinct_results(self, arm: Arm, point: Point) -> tuple[Result, ...]:
        """Of the results of an arm at a point the first of those that share proof, execution mode and options.

        Launches mostly say the same, and a stored run has what they share once: what is told of those three is told of
        few results instead of all.
        """
        return self._distinct_results.get((arm.label, point.key), ())

    def last_ok(self, arm: Arm, point: Point) -> Result | None:
        """The latest result that ended ok."""
        return next((result for result in reversed(self.results(arm, point)) if result.status == "ok"), None)

    def outcome(self, arm: Arm, point: Point) -> Outcome:
        """How the arm fared at the point."""
        if results := self.results(arm, point):
            return outcome_of(results)
        return never_launched(self.run.manifest, arm, point)

    @cached_property
    def _comparisons(self) -> Mapping[tuple[str, str, str], Comparison]:
        return {(item.candidate, item.point, item.metric): item for item in self.comparisons}

    def comparison(self, arm: Arm, point: Point, metric: str) -> Comparison | None:
        """The comparison of an arm with the baseline."""
        return self._comparisons.get((arm.label, point.key, metric))

    @cached_property
    def _summaries(self) -> Mapping[tuple[str, str, str], Summary]:
        return {(item.arm, item.point, item.metric): item for item in self.summaries}

    def summary(self, arm: Arm, point: Point, metric: str) -> Summary | None:
        """The summary of one metric."""
        return self._summaries.get((arm.label, point.key, metric))

    def summaries_of(self, arm: Arm, point: Point) -> tuple[Summary, ...]:
        """Every summary of an arm at a point."""
        return self._by_case.get((arm.label, point.key), ())

    @cached_property
    def _by_case(self) -> Mapping[tuple[str, str], tuple[Summary, ...]]:
        found: dict[tuple[str, str], list[Summary]] = {}
        for item in self.summaries:
            found.setdefault((item.arm, item.point), []).append(item)
        return {key: tuple(items) for key, items in found.items()}

    def estimate(self, arm: Arm, point: Point, metric: str) -> Estimate | None:
        """The estimate of one metric over the launches."""
        found = self.summary(arm, point, metric)
        return None if found is None else found.estimate

    def median(self, arm: Arm, point: Point, metric: str) -> Estimate | None:
        """The estimate of a timed metric, without all else that `summaries` holds."""
        return self._locations.get((arm.label, point.key, metric))

    @cached_property
    def _locations(self) -> Mapping[tuple[str, str, str], Estimate | None]:
        return locations(self.sides)

    def reason(self, arm: Arm, point: Point, metric: str) -> str:
        """Why there is no estimate of a metric."""
        found = self.summary(arm, point, metric)
        return found.reason if found is not None and found.reason else "no launch gave a value"

    def phase(self, arm: Arm, point: Point, metric: str, state: str) -> Estimate | None:
        """The estimate of a start-up phase; `state` is `cold` or `warm`."""
        return self.estimate(arm, point, f"{metric}/{state}")

    def memory(self, arm: Arm, point: Point, key: str) -> Estimate | None:
        """The estimate of a memory peak; `key` is `metric/phase`. Of warm launches where there are any."""
        return self.estimate(arm, point, f"{key}/cold" if self.always_cold else key)

    @cached_property
    def _break_even(self) -> Mapping[tuple[str, str, str], BreakEven]:
        return {(item.arm, item.point, item.state): item for item in break_even(self.run, sides=self.sides)}

    def break_even(self, arm: Arm, point: Point, state: str) -> tuple[float | None, str]:
        """Calls after which the arm has made good its start; None with the reason where that is not known."""
        found = self._break_even.get((arm.label, point.key, state))
        return (None, "not compared with the baseline") if found is None else (found.calls, found.reason)

    @cached_property
    def _medians(self) -> Mapping[tuple[str, str, str], Mapping[Place, float]]:
        return launch_medians(self.run, sides=self.sides)

    def launch_medians(self, arm: Arm, point: Point, metric: str) -> Mapping[Place, float]:
        """The median of the steady samples of each launch of an arm, by round and group."""
        return self._medians.get((arm.label, point.key, metric), {})

    def launch_median(self, arm: str, point: Point, metric: str, place: Place) -> float | None:
        """The median of the steady samples of an arm's launch in a place; None where it gave no steady number."""
        return self._medians.get((arm, point.key, metric), {}).get(place)

    @cached_property
    def contaminated(self) -> Mapping[str, Mapping[int, str]]:
        """The contaminated warm rounds, whose times are left out, each with the evidence: by the key of the point."""
        return set_aside(self.run)

    @cached_property
    def _machine(self) -> Machine:
        return Machine(self.run.manifest)

    @cached_property
    def _efficiencies(self) -> dict[tuple[str, str], Efficiency]:
        return {}

    def efficiency(self, arm: Arm, point: Point) -> Efficiency:
        """What an arm reached at a point of what the hardware can do."""
        key = arm.label, point.key
        if key not in self._efficiencies:
            side, latency = self.sides.side(arm, point.key), self.median(arm, point, "latency_s")
            self._efficiencies[key] = efficiency(side, latency, self.run.manifest, self._machine)
        return self._efficiencies[key]

    def goodput(self, arm: Arm, point: Point) -> Goodput:
        """The goodput of an arm at a point, with what it is made of."""
        return goodput(self.sides.side(arm, point.key), self.efficiency(arm, point))

    @cached_property
    def detectable_effects(self) -> tuple[DetectableEffect, ...]:
        """The minimum detectable effects of as many rounds with the run's own noise."""
        warm = {number for segment in self.run.segments for number in segment.rounds if number > 0}
        warm = {number for number in warm if not all(number in aside for aside in self.contaminated.values())}
        return pilot(self.run, rounds=len(warm), sides=self.sides) if warm else ()

    @cached_property
    def execution_modes(self) -> Mapping[str, Mapping[str, Sequence[str]]]:
        """How each backend was used, by arm label: every value of each property over all points and launches."""
        found: dict[str, dict[str, list[str]]] = {}
        for arm in self.arms:
            told = found.setdefault(arm.label, {})
            for point in self.points:
                for result in self.distinct_results(arm, point):
                    for name, value in result.idiom.items():
                        values = told.setdefault(name.partition(" (")[0], [])  # `kv_cache (decode)` of several programs
                        if value not in values:
                            values.append(value)
        return found

    @cached_property
    def versions(self) -> Mapping[str, str]:
        """What ran, by arm label, as the proofs say: `torch 2.13.0`."""
        found: dict[str, str] = {}
        for arm in self.arms:
            proofs = [r.proof for point in self.points for r in self.results(arm, point) if r.proof is not None]
            if proofs:
                told = (f"{name} {text}" for name, text in sorted(proofs[-1].versions.items()))
                found[arm.label] = ", ".join(told) or "not told"
        return found


def gather(run: Run) -> Facts:
    """A run, to be compared and summarised."""
    return Facts(run=run)
