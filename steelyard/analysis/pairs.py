"""Comparisons that leave the run's baseline out: what is seen by a reader who chooses another baseline.

A pair with the run's baseline is never judged twice: seen from the other side it is the same comparison, `turned`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations

from steelyard.analysis.sides import Sides, sides_of
from steelyard.analysis.verdict import Question
from steelyard.analysis.withheld import too_noisy, withhold
from steelyard.analysis.within import floor_at, pair, settle, summarise_pairs, undecided
from steelyard.core.case import Arm
from steelyard.core.comparison import Comparison, Verdict
from steelyard.core.run import Run
from steelyard.measure.driver import metrics_of

_OTHER_SIDE: Mapping[str, Verdict] = {"faster": "slower", "slower": "faster"}
_WORD = re.compile(r"^(faster|slower)(?= if it were alone)")


def other_pairs(run: Run, *, sides: Sides | None = None) -> tuple[Comparison, ...]:
    """Every two arms that are neither baseline nor control, the first named as baseline, for each point and metric.

    Paired by round as in `compare_run`, under the same noise floor, which the control arm tells of the machine. All
    of them are one exploratory family of their own (Benjamini-Hochberg): they take nothing from the power of the
    run's families, and a reader who picks one has picked among all.
    """
    sides = sides or sides_of(run)
    withheld = too_noisy(run)
    found: list[Comparison] = []
    questions: list[tuple[int, Question]] = []
    asked = [(key, metric) for key, point in sides.points.items() for metric in metrics_of(point)]
    floors = {(key, metric): floor_at(sides, key, metric) for key, metric in asked}
    every = [
        pair(sides.side(before, key), sides.side(after, key), metric)
        for key, metric in asked
        for before, after in _pairs(sides)
    ]
    for pairs, weight in zip(every, summarise_pairs(every), strict=True):
        floor = floors[pairs.candidate.key, pairs.metric]
        comparison, question = undecided(pairs, floor, "exploratory", weight)
        if question is not None:
            questions.append((len(found), question))
        found.append(comparison)
    settle(found, questions, "exploratory")
    return tuple(
        withhold(comparison, withheld or pairs.withheld) for comparison, pairs in zip(found, every, strict=True)
    )


def count_pairs(sides: Sides) -> int:
    """How many comparisons `other_pairs` makes."""
    return sum(len(metrics_of(point)) for point in sides.points.values()) * sum(1 for _ in _pairs(sides))


def turned(comparison: Comparison) -> Comparison:
    """The same comparison with its sides exchanged: the inverse ratio, and the opposite verdict.

    The rule of verdicts is the same in both directions, because it works on logarithms.
    """
    evidence = dict(comparison.evidence)
    for which in ("95", "judged"):
        if f"low_{which}" in evidence:
            evidence[f"low_{which}"] = 1 / comparison.evidence[f"high_{which}"]
            evidence[f"high_{which}"] = 1 / comparison.evidence[f"low_{which}"]
    reason = _WORD.sub(lambda match: _OTHER_SIDE[match[0]], comparison.reason)
    return replace(
        comparison,
        baseline=comparison.candidate,
        candidate=comparison.baseline,
        ratio=comparison.ratio and comparison.ratio.inverse,
        verdict=_OTHER_SIDE.get(comparison.verdict, comparison.verdict),
        reason=reason,
        evidence=evidence,
    )


def _pairs(sides: Sides) -> Iterator[tuple[Arm, Arm]]:
    return combinations([arm for arm in sides.arms if not arm.control and arm.label != sides.baseline.label], 2)
