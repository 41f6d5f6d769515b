"""Comparisons within a run: every arm against the baseline, paired by round, and by group where there are groups."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from steelyard.analysis.sides import Side, Sides, sides_of
from steelyard.analysis.turn_ratios import log_levels, log_ratio
from steelyard.analysis.verdict import ALPHA, MARGIN, Question, as_ratio, decide
from steelyard.analysis.withheld import too_noisy, unguarded, withhold
from steelyard.core.comparison import Comparison, Family, Verdict
from steelyard.core.result import Place
from steelyard.core.run import Run
from steelyard.measure.driver import metrics_of
from steelyard.stats import signed_rank
from steelyard.stats.alike import alike
from steelyard.stats.few import FEWEST, Location, Mean, all_paired, paired


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """The places in which both sides ended ok with samples of the metric, and the log ratio of each: one in a round.

    A log ratio is log(candidate's launch median / baseline's), or of launches that took turns together the median over
    their turns (`steelyard.analysis.turn_ratios`). `timed` is the timed metric that says at which layer the
    calls were made and whether a launch was steady: the metric itself, but for energy. `work` is how many times as many
    items a call of the candidate is, 1 where both have the same work: the log ratios are those of an item.
    """

    baseline: Side
    candidate: Side
    metric: str
    timed: str
    places: tuple[Place, ...]
    log_ratios: tuple[float, ...]
    work: float = 1.0

    @property
    def rounds(self) -> tuple[int, ...]:
        """The rounds of the places."""
        return tuple(place.round for place in self.places)

    @property
    def withheld(self) -> str:
        """Why no verdict is given on one of the sides; empty if one is."""
        return "; ".join(dict.fromkeys(filter(None, (self.baseline.withheld, self.candidate.withheld))))


class PairedSummary(NamedTuple):
    """What the log ratios of paired rounds say before anybody asks for a verdict: their location, their standard
    deviation (None below 2 rounds) and the two-sided p-value of no difference, by Student's t or signed ranks as the
    location. The location is None without rounds."""

    location: Location | None
    spread: float | None
    p_value: float | None


def compare_run(run: Run, *, guard: bool = True, sides: Sides | None = None) -> tuple[Comparison, ...]:
    """Every arm but the baseline (the control arm too) against the baseline, for each point and timed metric.

    Primary family (Holm): the headline workload's latency, one comparison per backend and point of it.
    All else is exploratory (Benjamini-Hochberg). The control arm belongs to no family. Without the `guard` the
    verdicts are those that the same samples would give had nobody watched the machine. `sides` is the run's index
    where it is at hand already; it counts with the guard only.
    """
    if not guard:
        run, sides = unguarded(run), None
    sides = sides or sides_of(run)
    withheld = too_noisy(run)
    found: list[Comparison] = []
    open_questions: dict[Family, list[tuple[int, Question]]] = {"primary": [], "exploratory": []}
    every = [
        pair(sides.side(sides.baseline, key), sides.side(arm, key), metric)
        for key, point in sides.points.items()
        for metric in metrics_of(point)
        for arm in sides.arms
        if arm.label != sides.baseline.label
    ]
    weights = summarise_pairs(every)
    floors = {
        (pairs.candidate.key, pairs.metric): floor_from(weight.location)
        for pairs, weight in zip(every, weights, strict=True)
        if pairs.candidate.arm == sides.control
    }
    for pairs, weight in zip(every, weights, strict=True):
        side, metric = pairs.candidate, pairs.metric
        floor = floors.get((side.key, metric))
        primary = not side.arm.control and side.point.workload == run.manifest.headline and metric == "latency_s"
        comparison, question = undecided(pairs, floor, "primary" if primary else "exploratory", weight)
        if question is not None:
            if side.arm.control:
                comparison = judge_control(comparison, question)
            else:
                open_questions[comparison.family].append((len(found), question))
        found.append(comparison)
    for family, questions in open_questions.items():
        settle(found, questions, family)
    return tuple(
        withhold(comparison, withheld or pairs.withheld) for comparison, pairs in zip(found, every, strict=True)
    )


def settle(found: list[Comparison], questions: Sequence[tuple[int, Question]], family: Family) -> None:
    """Answer the questions of one family, and set each answer into the comparison at its place."""
    answers = decide([question for _, question in questions], family)
    for (place, question), answer in zip(questions, answers, strict=True):
        found[place] = replace(
            found[place],
            verdict=answer.verdict,
            reason="; ".join(filter(None, (answer.reason, found[place].reason))),
            ratio=answer.ratio,
            p_value=question.p_value,
            p_adjusted=answer.p_adjusted,
            evidence={**found[place].evidence, "claim_level": answer.claim_level},
        )


def floor_of(log_ratios: Sequence[float]) -> float | None:
    """The noise floor from a control arm's paired log ratios: the larger absolute end of their 95 % interval, as a
    fraction. None where they are too few for an interval."""
    return floor_from(paired(log_ratios) if len(log_ratios) else None)


def floor_from(location: Location | None) -> float | None:
    """The same from the location of those log ratios, None where there are none."""
    interval = None if location is None else location.estimate(1 - ALPHA).interval
    return None if interval is None else math.expm1(max(abs(interval.low), abs(interval.high)))


def pair(baseline: Side, candidate: Side, metric: str, *, work: float = 1.0) -> Pairs:
    """Pair two sides by round: a launch with that of its own group, whose turns it shared, and with no other."""
    before, after = ({launch.place: launch for launch in side.launched(metric)} for side in (baseline, candidate))
    places = tuple(place for place in before if place in after)
    return Pairs(
        baseline=baseline,
        candidate=candidate,
        metric=metric,
        timed=metric,
        places=places,
        log_ratios=tuple(log_ratio(before[place], after[place]) - math.log(work) for place in places),
        work=work,
    )


def summarise_pairs(every: Sequence[Pairs]) -> list[PairedSummary]:
    """Weigh many pairs: those of equally many rounds cost little more than one of them."""
    logs = [pairs.log_ratios for pairs in every]
    spreads: list[float | None] = [None] * len(logs)
    for places, rows in alike(logs):
        if rows.shape[-1] > 1:
            for place, value in zip(places, rows.std(axis=-1, ddof=1).tolist(), strict=True):
                spreads[place] = value
    locations = iter(all_paired([values for values in logs if values]))
    found = []
    for values, spread, by_ranks in zip(logs, spreads, signed_rank.p_values(logs), strict=True):
        location = next(locations) if values else None
        p_value = location.p_value if isinstance(location, Mean) else by_ranks
        found.append(PairedSummary(location=location, spread=spread, p_value=p_value))
    return found


def obstacle(baseline: Side, candidate: Side, metric: str, usable: bool) -> str:
    """Why two sides cannot be compared at all, or empty.

    A wrong answer or a fallback in any launch takes a side's speed away. Other failures do so only
    where they leave nothing usable.
    """
    wrong = [side.failures for side in (baseline, candidate) if side.wrong]
    if wrong:
        return "; ".join(wrong)
    if not usable:
        return "; ".join(text for side in (baseline, candidate) if (text := side.failures))
    layers = [{launch.measurement.layer for launch in side.launched(metric)} for side in (baseline, candidate)]
    if all(layers) and layers[0] != layers[1]:  # across runs, one of many may have measured nothing
        told = [" and ".join(sorted(names)) for names in layers]
        return f"the layers differ: {told[0]} for {baseline.arm.label}, {told[1]} for {candidate.arm.label}"
    return ""


def undecided(
    pairs: Pairs, floor: float | None, family: Family, weight: PairedSummary
) -> tuple[Comparison, Question | None]:
    """The comparison as far as it goes without a family, and the question that its family answers, if it is open."""
    baseline, candidate, metric = pairs.baseline, pairs.candidate, pairs.metric
    verdict: Verdict = "inconclusive"
    remarks = [text for side in (baseline, candidate) if side.results and (text := side.failures)]
    blocked = obstacle(baseline, candidate, pairs.timed, bool(pairs.rounds))
    unsteady = [side.unsteady(pairs.timed, pairs.places) for side in (baseline, candidate)]
    decidable = False
    if blocked:
        verdict, reason = "incomparable", blocked
    elif not pairs.rounds:
        reason = _without_pairs(pairs)
    elif len(pairs.rounds) < FEWEST:
        reason = "; ".join([f"{len(pairs.rounds)} of {FEWEST} rounds", *remarks])
    else:
        # Energy has one value a launch, which says nothing of levels within it.
        decidable = pairs.metric == pairs.timed or not any(side.too_many for side in unsteady)
        reason = "; ".join([*(side.text for side in unsteady if side.text), *remarks])
    estimate = question = None
    evidence: dict[str, float] = {"rounds": len(pairs.rounds)}
    if weight.location is not None and verdict != "incomparable":
        estimate = as_ratio(weight.location.estimate())
        if decidable:
            question = Question(location=weight.location, floor=floor, p_value=weight.p_value, span=span(pairs))
            if question.span is not None and (judged := question.judged(1 - ALPHA)) is not None:
                evidence |= {"low_judged": math.exp(judged.low), "high_judged": math.exp(judged.high)}
        if estimate.interval is not None:
            evidence |= {"low_95": estimate.interval.low, "high_95": estimate.interval.high}
        if weight.spread is not None:
            evidence["spread"] = weight.spread
        if all(side.total for side in unsteady):
            evidence["unsteady_share"] = max(side.count / side.total for side in unsteady)
    comparison = Comparison(
        point=candidate.key,
        title=candidate.title,
        workload=candidate.point.workload,
        metric=metric,
        factor="control" if candidate.arm.control else "backend",
        baseline=baseline.arm.label,
        candidate=candidate.arm.label,
        scope="within run",
        ratio=estimate,
        verdict=verdict,
        reason=reason,
        family=family,
        floor=floor,
        margin=MARGIN,
        evidence=evidence,
        approximate="" if blocked else approximations((baseline, candidate)),
    )
    return comparison, question


def _without_pairs(pairs: Pairs) -> str:
    """Why two sides that have numbers have no pair."""
    sides = (pairs.baseline, pairs.candidate)
    here, there = ({launch.place.round for launch in side.launched(pairs.timed)} for side in sides)
    if here & there:
        one, other = (side.arm.label for side in sides)
        return f"{one} and {other} ran in different groups, since memory did not hold all: such launches are not paired"
    return f"no round has steady samples of {pairs.metric} on both sides"


def approximations(sides: Iterable[Side]) -> str:
    """Which of two compared sides are no equal work, and in what; empty where all are."""
    return "; ".join(dict.fromkeys(filter(None, (side.approximate for side in sides))))


def span(pairs: Pairs) -> tuple[Location, Location] | None:
    """The locations with every launch without a steady state at the level that makes the candidate fastest, and at the
    one that makes it slowest; None where no side has too many of them."""
    sides = (pairs.baseline, pairs.candidate)
    if not any(side.unsteady(pairs.timed, pairs.places).too_many for side in sides):
        return None
    before, after = ({launch.place: launch for launch in side.launched(pairs.metric)} for side in sides)
    ends = [log_levels(before[place], after[place]) for place in pairs.places]
    low, high = (paired([levels[end] - math.log(pairs.work) for levels in ends]) for end in (0, 1))
    return low, high


def judge_control(comparison: Comparison, question: Question) -> Comparison:
    """The control arm is judged by the margin alone, at 95 %: its own floor cannot excuse it."""
    (answer,) = decide([replace(question, floor=0.0)], "primary")
    return replace(
        comparison,
        verdict=answer.verdict,
        reason="; ".join(filter(None, (answer.reason, comparison.reason))),
        ratio=answer.ratio,
        p_value=question.p_value,
    )


def floor_at(sides: Sides, point: str, metric: str) -> float | None:
    """The noise floor at a point (its key). None without a control arm, or with too few rounds of it."""
    if sides.control is None:
        return None
    return floor_of(pair(sides.side(sides.baseline, point), sides.side(sides.control, point), metric).log_ratios)
