"""Comparisons across runs: unpaired, and believed only beyond what one run differs from the next.

Launches of one run share that run's luck (heat, memory layout, background load), so that their number says
nothing about a difference between runs. The run-to-run effect is estimated from the control arms: with
c the median log of a run's control launches, s their pooled standard deviation within the sides with f
degrees of freedom (f + 2 such runs), and k the runs of a side in which the backend was measured, it is
t(0.975, f) s sqrt(1/k_a + 1/k_b). A difference must lie beyond it; the room for `equivalent` shrinks by it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from steelyard.analysis.factor import Factor, find_factor
from steelyard.analysis.sides import Side, Sides, sides_of
from steelyard.analysis.verdict import MARGIN, Question, as_ratio
from steelyard.analysis.withheld import too_noisy, withhold
from steelyard.analysis.within import approximations, obstacle, settle
from steelyard.core.comparison import Comparison, Family, Verdict
from steelyard.core.errors import UsageError
from steelyard.core.run import Run
from steelyard.core.workload import Identity, Point
from steelyard.measure.driver import metrics_of
from steelyard.stats.hodges_lehmann import Location, unpaired
from steelyard.stats.planning import MINIMUM_ROUNDS
from steelyard.stats.student import quantile

FEWEST_RUNS = 3


@dataclass(frozen=True, kw_only=True)
class RunGroup:
    """The runs of one side. Points are matched by title, because their keys belong to what is checked."""

    runs: tuple[Run, ...]
    sides: tuple[Sides, ...]
    keys: tuple[Mapping[str, str], ...]

    @cached_property
    def points(self) -> Mapping[str, Point]:
        """The points that every run has, by title."""
        shared = set.intersection(*(set(keys) for keys in self.keys))
        return {title: self.sides[0].points[key] for title, key in self.keys[0].items() if title in shared}

    def identities(self, title: str) -> list[Identity | None]:
        """Each run's identity of a point; None where the run holds none."""
        found = []
        for run, keys in zip(self.runs, self.keys, strict=True):
            facts = run.manifest.lowered.get(keys[title])
            found.append(None if facts is None else facts.identity)
        return found

    def arm(self, label: str, title: str) -> list[Side]:
        """What an arm measured at a point, for each run."""
        return [
            sides.side(next(arm for arm in sides.arms if arm.label == label), keys[title])
            for sides, keys in zip(self.sides, self.keys, strict=True)
        ]

    def failures(self, label: str, title: str) -> list[str]:
        """What failed of an arm at a point, for each run in which anything did."""
        sides = zip(self.runs, self.arm(label, title), strict=True)
        return [f"run {run.manifest.run_id}: {side.failures}" for run, side in sides if side.failures]

    def control(self, title: str, metric: str) -> list[float]:
        """The median log of the control launches, for each run that has any."""
        controls = [
            sides.side(sides.control, keys[title]).medians(metric)
            for sides, keys in zip(self.sides, self.keys, strict=True)
            if sides.control is not None
        ]
        return [float(np.median(np.log(list(medians.values())))) for medians in controls if medians]


def compare_runs(
    baseline_runs: Sequence[Run], candidate_runs: Sequence[Run], factor: str | None = None
) -> tuple[Comparison, ...]:
    """Each backend of the candidate runs against the baseline runs, at each common point and timed metric.

    The sides differ in one factor, which is found or given. A point whose identity differs, or sides
    that differ in something else as well, are incomparable, with the difference named. Families are
    as within a run. Raises UsageError where a run is given twice, and where there is no single factor or no
    common point.
    """
    _refuse_twice(baseline_runs, candidate_runs)
    what = find_factor(baseline_runs, candidate_runs, factor)
    before, after = group_of(baseline_runs), group_of(candidate_runs)
    common = [title for title in before.points if title in after.points]
    if not common:
        raise UsageError(
            f"the runs have no configuration in common: {', '.join(before.points)} against {', '.join(after.points)}; "
            "run both with the same --workload, --size and --set"
        )
    headline = baseline_runs[0].manifest.headline
    found: list[Comparison] = []
    lost: list[str] = []
    questions: dict[Family, list[tuple[int, Question]]] = {"primary": [], "exploratory": []}
    for title in common:
        point = before.points[title]
        differing = unlike([*before.identities(title), *after.identities(title)])
        for metric in metrics_of(point):
            controls = before.control(title, metric), after.control(title, metric)
            family: Family = "primary" if point.workload == headline and metric == "latency_s" else "exploratory"
            for labels in what.arms:
                sides = before.arm(labels[0], title), after.arm(labels[1], title)
                effect, why = _run_effect(controls, sides, metric)
                comparison, location = _comparison(sides, metric, what, differing, family, effect)
                if comparison.verdict != "incomparable":
                    failed = [*before.failures(labels[0], title), *after.failures(labels[1], title)]
                    told = [why if location is not None else "", comparison.reason, *failed]
                    comparison = replace(comparison, reason="; ".join(filter(None, told)))
                if location is not None and effect is not None:
                    p_value = min(1.0, 2 * min(location.p_above(0.0), location.p_below(0.0)))
                    question = Question(location=location, floor=effect, p_value=p_value, bias=effect)
                    questions[family].append((len(found), question))
                found.append(comparison)
                lost.append("; ".join(dict.fromkeys(side.withheld for arm in sides for side in arm if side.withheld)))
    for family, asked in questions.items():
        settle(found, asked, family)
    noisy = "; ".join(
        f"run {run.manifest.run_id}: {why}" for run in (*baseline_runs, *candidate_runs) if (why := too_noisy(run))
    )
    return tuple(withhold(comparison, noisy or why) for comparison, why in zip(found, lost, strict=True))


def group_of(runs: Sequence[Run]) -> RunGroup:
    """Index the runs of one side."""
    sides = tuple(sides_of(run) for run in runs)
    keys = tuple({point.title: key for key, point in item.points.items()} for item in sides)
    return RunGroup(runs=tuple(runs), sides=sides, keys=keys)


def unlike(identities: Sequence[Identity | None]) -> str:
    """Which parts of the identity differ among the runs, or empty."""
    known = [identity for identity in identities if identity is not None]
    if len(known) < len(identities):
        return "a run does not say which definition, weights and inputs it used"
    different = dict.fromkeys(part for one, other in combinations(known, 2) for part in one.unlike(other))
    return f"the identity differs in {' and '.join(different)}" if different else ""


def _refuse_twice(baseline: Sequence[Run], candidate: Sequence[Run]) -> None:
    """A run counts once: given again it would say that runs do not differ, and a difference from itself says nothing.

    Raises UsageError naming the first run that is given twice.
    """
    before, after = ([run.manifest.run_id for run in runs] for runs in (baseline, candidate))
    for ids, where in ((before, "on the baseline's side"), (after, "on the candidate's side")):
        if again := [name for name in ids if ids.count(name) > 1]:
            raise UsageError(f"the run {again[0]} stands twice {where}; give each run once")
    if shared := [name for name in before if name in after]:
        raise UsageError(f"the run {shared[0]} stands on both sides; give each run once")


def _run_effect(
    controls: tuple[Sequence[float], Sequence[float]], sides: tuple[Sequence[Side], Sequence[Side]], metric: str
) -> tuple[float | None, str]:
    """The run-to-run effect as a fraction, or None and the reason."""
    labels = dict.fromkeys(group[0].arm.label for group in sides)
    counts = {
        "with a control arm": tuple(map(len, controls)),
        f"with steady samples of {' and '.join(labels)}": tuple(_measured(group, metric) for group in sides),
    }
    for what, (before, after) in counts.items():
        if min(before, after) < FEWEST_RUNS:
            return None, (
                f"{before} and {after} runs {what}; {FEWEST_RUNS} on each side are needed to tell "
                "a difference from what one run differs from the next"
            )
    freedom = sum(map(len, controls)) - 2
    squares = sum(float(np.var(values)) * len(values) for values in controls)
    error = math.sqrt(squares / freedom * sum(1 / _measured(group, metric) for group in sides))
    return math.expm1(quantile(0.975, freedom) * error), ""


def _measured(group: Sequence[Side], metric: str) -> int:
    """In how many runs of a side there are steady samples."""
    return sum(1 for side in group if side.launched(metric))


def _comparison(
    sides: tuple[Sequence[Side], Sequence[Side]],
    metric: str,
    what: Factor,
    differing: str,
    family: Family,
    effect: float | None,
) -> tuple[Comparison, Location | None]:
    """The comparison as far as it goes without a family; with its location if it is open to a verdict."""
    values = [[value for side in group for value in side.medians(metric).values()] for group in sides]
    blocked = [differing] if differing else [f"also differs: {text}" for text in what.others]
    usable = all(values)
    if not blocked:
        blocked = list(dict.fromkeys(t for a in sides[0] for b in sides[1] if (t := obstacle(a, b, metric, usable))))
    unsteady = [side.unsteady(metric, side.medians(metric)) for group in sides for side in group]
    remarks = [side.text for side in unsteady if side.text]
    verdict: Verdict = "inconclusive"
    location = unpaired(np.log(values[1]), np.log(values[0])) if usable and not blocked else None
    decidable = False
    if blocked:
        verdict, reason = "incomparable", "; ".join(blocked)
    elif not usable:
        reason = f"a side has no steady samples of {metric}"
    elif min(map(len, values)) < MINIMUM_ROUNDS:
        reason = f"{len(values[0])} and {len(values[1])} of {MINIMUM_ROUNDS} launches on each side"
    else:
        reason = "; ".join(remarks)
        decidable = not any(side.too_many for side in unsteady)
    candidate = sides[1][0]
    estimate = None if location is None else as_ratio(location.estimate())
    evidence: dict[str, float] = {
        "baseline_runs": _measured(sides[0], metric),
        "candidate_runs": _measured(sides[1], metric),
        "baseline_launches": len(values[0]),
        "candidate_launches": len(values[1]),
    }
    if estimate is not None and estimate.interval is not None:
        evidence |= {"low_95": estimate.interval.low, "high_95": estimate.interval.high}
    comparison = Comparison(
        point=candidate.key,
        title=candidate.title,
        workload=candidate.point.workload,
        metric=metric,
        factor=what.name,
        baseline=sides[0][0].arm.label,
        candidate=candidate.arm.label,
        scope="across runs",
        ratio=estimate,
        verdict=verdict,
        reason=reason,
        family=family,
        floor=effect,
        margin=MARGIN,
        evidence=evidence,
        approximate="" if blocked else approximations((*sides[0], *sides[1])),
    )
    return comparison, location if decidable else None
