"""Comparisons of the energy of a call within a run: paired by round and judged like times, in a family of their own.

They are exploratory and corrected among themselves (Benjamini-Hochberg), so that metering energy makes no verdict on
times harder. The energy window follows the timed one with the same calls, whose layer and steady state are those of
`latency_s`. `faster` reads as less energy and `slower` as more. Estimates by a model never come here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from steelyard.analysis.sides import Side, Sides, median, sides_of
from steelyard.analysis.verdict import Question
from steelyard.analysis.withheld import too_noisy, withhold
from steelyard.analysis.within import Pairs, floor_of, judge_control, settle, summarise_pairs, undecided
from steelyard.core.comparison import Comparison, Estimate
from steelyard.core.result import Place
from steelyard.core.run import Run
from steelyard.stats.hodges_lehmann import one_sample

METRIC = "energy_j"


def compare_energy(run: Run, *, sides: Sides | None = None) -> tuple[Comparison, ...]:
    """Every arm but the baseline against the baseline, at each point where both were metered."""
    sides = sides or sides_of(run)
    withheld = too_noisy(run)
    found: list[Comparison] = []
    reasons: list[str] = []
    questions: list[tuple[int, Question]] = []
    for key in sides.points:
        before = sides.side(sides.baseline, key)
        floor = None if sides.control is None else floor_of(_pairs(before, sides.side(sides.control, key)).log_ratios)
        for arm in sides.arms:
            pairs = _pairs(before, sides.side(arm, key))
            if arm.label == sides.baseline.label or not pairs.rounds:
                continue
            (weight,) = summarise_pairs([pairs])
            comparison, question = undecided(pairs, floor, "exploratory", weight)
            if told := _unlike(before, pairs.candidate):
                comparison, question = replace(comparison, verdict="incomparable", reason=told, ratio=None), None
            if question is not None:
                if arm.control:
                    comparison = judge_control(comparison, question)
                else:
                    questions.append((len(found), question))
            found.append(comparison)
            reasons.append(withheld or pairs.withheld)
    settle(found, questions, "exploratory")
    return tuple(withhold(comparison, reason) for comparison, reason in zip(found, reasons, strict=True))


def joules(side: Side) -> dict[Place, float]:
    """Metered joules of a call by place, of the launches whose times count."""
    return {
        result.place: result.energy.value
        for result in side.quiet
        if result.status == "ok" and result.round > 0 and result.energy is not None and result.energy.value
    }


def net_joules(side: Side) -> tuple[Estimate | None, str]:
    """Joules of a call above idle over the launches, or None with the reason: also where they are lost in what the
    meter's steps and the drift of idle power can make of one launch."""
    uses = [result.energy_use for result in side.quiet if result.status == "ok" and result.energy_use is not None]
    readings = [use.net_per_call for use in uses]
    values = [reading.value for reading in readings if reading.value is not None]
    if not values:
        return None, next((reading.reason for reading in readings if reading.reason), "no idle baseline was measured")
    estimate = one_sample(values)
    unsure = median([use.net_uncertainty_j / use.calls for use in uses if use.net_uncertainty_j and use.calls] or [0.0])
    if estimate.value <= unsure:
        return None, f"it does not exceed idle by more than its uncertainty, {unsure:.2g} J"
    return estimate, ""


def estimates(side: Side) -> tuple[Estimate | None, str]:
    """Joules of a call by the model over the launches, or None with the reason; no measurement."""
    readings = [result.energy_estimate for result in side.quiet if result.status == "ok"]
    values = [reading.value for reading in readings if reading is not None and reading.value is not None]
    if values:
        return one_sample(values), ""
    reasons = [reading.reason for reading in readings if reading is not None and reading.reason]
    return None, next(iter(reasons), "no estimate was asked for")


def scaled(estimate: Estimate, by: float) -> Estimate:
    """An estimate in another unit or of another amount of work; `by` is positive."""
    interval = estimate.interval
    if interval is not None:
        interval = replace(interval, low=interval.low * by, high=interval.high * by)
    return replace(estimate, value=estimate.value * by, interval=interval)


def _pairs(baseline: Side, candidate: Side) -> Pairs:
    before, after = joules(baseline), joules(candidate)
    places = tuple(place for place in before if place in after)
    return Pairs(
        baseline=baseline,
        candidate=candidate,
        metric=METRIC,
        timed="latency_s",
        places=places,
        log_ratios=tuple(math.log(after[place] / before[place]) for place in places),
    )


def _unlike(*sides: Side) -> str:
    """Why the meters of two sides do not measure the same, or empty."""
    told: Sequence[Mapping[str, None]] = [
        dict.fromkeys(
            result.energy.method for result in side.quiet if result.energy is not None and result.energy.value
        )
        for side in sides
    ]
    if all(methods == told[0] for methods in told):
        return ""
    return "the meters differ: " + "; ".join(
        f"{side.arm.label}: {' and '.join(methods)}" for side, methods in zip(sides, told, strict=True)
    )
