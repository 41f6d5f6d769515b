"""What a run lacks for its verdicts: which backends have none in the primary family, and what is likely to bring it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.analysis.verdict import ALPHA
from steelyard.core.comparison import Comparison
from steelyard.core.run import Run, launches_by_segment
from steelyard.stats import planning

MOST_ROUNDS = 100
"""More rounds are not reckoned with: a quieter machine is the better way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """The candidates without a verdict on the headline workload.

    `rounds` is the fewest paired rounds that one of them has. With `more` rounds all of them are expected to have a
    verdict, if ratios, spreads and floors stay as they are; None where more than 100 in all would not do. `time_s` is
    what another segment of so many rounds takes, its cold round included; None where no warm round says so.
    """

    candidates: tuple[str, ...]
    rounds: int
    more: int | None
    time_s: float | None


def unfinished(run: Run, comparisons: Sequence[Comparison]) -> Unfinished | None:
    """What is left of the primary family of a run; None where nothing is, or nobody asked for verdicts (`--quick`, cold
    starts). A verdict that is withheld, or cannot be given at all, is not left open by too few rounds."""
    asked = run.manifest.settings
    open_ = [
        comparison
        for comparison in comparisons
        if comparison.family == "primary" and comparison.factor != "control" and comparison.verdict == "inconclusive"
    ]
    if not open_ or (asked is not None and (asked.quick or asked.scenario != "single-stream")):
        return None
    controls = {
        (comparison.point, comparison.metric): comparison
        for comparison in comparisons
        if comparison.factor == "control"
    }
    done = [int(comparison.evidence["rounds"]) for comparison in open_]
    totals = [_needed(comparison, controls, len(open_)) for comparison in open_]
    known = [total for total in totals if total is not None]
    more = max(1, *(total - count for total, count in zip(known, done, strict=True))) if known == totals else None
    return Unfinished(
        candidates=tuple(dict.fromkeys(comparison.candidate for comparison in open_)),
        rounds=min(done),
        more=more,
        time_s=None if more is None else _time_s(run, more),
    )


def _needed(comparison: Comparison, controls: Mapping[tuple[str, str], Comparison], family: int) -> int | None:
    """The number of rounds at which the interval is expected to carry a verdict; None where none up to 100 is.

    At n rounds the interval is expected to reach `planning.half_width` to both sides of the ratio, at the level that
    the family asks for, and the noise floor likewise beyond the control arm's ratio. With fewer than two rounds it is
    the number from which on a verdict is possible at all.
    """
    fewest = planning.rounds_to_fire(family)
    control = controls.get((comparison.point, comparison.metric))
    spread = comparison.evidence.get("spread")
    control_spread = None if control is None else control.evidence.get("spread")
    if control is None or control.ratio is None or comparison.ratio is None or spread is None or control_spread is None:
        return fewest
    apart, offset = abs(math.log(comparison.ratio.value)), abs(math.log(control.ratio.value))
    margin = math.log1p(comparison.margin)
    for rounds in range(max(fewest, int(comparison.evidence["rounds"]) + 1), MOST_ROUNDS + 1):
        reach = planning.half_width(spread, rounds, 1 - ALPHA / family)
        floor = planning.half_width(control_spread, rounds)
        if reach is None or floor is None:
            continue
        floor += offset
        if apart - reach > max(margin, floor) or (floor <= margin and apart + reach < margin):
            return rounds
    return None


def _time_s(run: Run, more: int) -> float | None:
    """How long so many further rounds take in a segment of their own, by the newest segment that has a warm round."""
    for records in reversed(launches_by_segment(run.launches)):
        spans: dict[int, list[float]] = {}
        for record in records:
            begun, ended = spans.get(record.round, (record.started_s, record.ended_s))
            spans[record.round] = [min(begun, record.started_s), max(ended, record.ended_s)]
        lasted = {number: ended - begun for number, (begun, ended) in spans.items()}
        warm = [seconds for number, seconds in lasted.items() if number > 0]
        if warm:
            return lasted.get(0, 0.0) + more * sum(warm) / len(warm)
    return None
