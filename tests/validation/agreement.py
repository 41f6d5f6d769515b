"""Rows of agreement from stored launches: the project's own paired statistics, at a margin of 3 %.

One value per launch, the median of its steady samples; where the tool averages over blocks of calls, ours are averaged
over blocks of as many. Where both sides took turns, the log ratio of a round is the median over their turns, else that
of the two values. The log ratio of each round, ours / theirs, gives the Hodges-Lehmann estimate with the exact
signed-rank interval, each row by itself at 95 %.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from steelyard.analysis.sides import UNSTEADY
from steelyard.analysis.verdict import Question, as_ratio, decide, percent
from steelyard.core.turn_rule import first_calls, spans
from steelyard.guard.contamination import contaminated_rounds
from steelyard.measure.steady import judge
from steelyard.stats import signed_rank
from steelyard.stats.hodges_lehmann import one_sample, paired
from steelyard.stats.planning import MINIMUM_ROUNDS
from tests.validation.agreement_rows import AgreementRow, AgreementVerdict
from tests.validation.interleaved import Match, SideLaunch, whole_rounds
from tests.validation.tools import OURS, Told, Tool

Floats = NDArray[np.float64]

MARGIN = 0.03
TARGET_HALF_WIDTH = 0.01
"""A match is measured until its interval is so narrow, or the rounds are used up: a third of the margin."""


class Pair(NamedTuple):
    """One round of a match: seconds per call of ours and theirs, and the log ratio ours / theirs."""

    ours_s: float
    theirs_s: float
    log_ratio: float


def steady_parts(told: Told, calls_per_sample: int = 1) -> Mapping[int, Floats]:
    """The steady samples of one launch by turn, a window in one piece as turn 0; none where it has no steady state.

    Samples are put together to blocks of `calls_per_sample` calls, as far as they are not yet. The first call of a turn
    is left out as in any run, where it is known which it was.
    """
    samples = np.asarray(told.samples_s, dtype=np.float64)
    counted = np.ones(samples.size, dtype=bool)
    if samples.size and told.in_order:
        cut, steady = judge(told.samples_s, told.turns)
        if steady in UNSTEADY:
            return {}
        counted[:cut] = False
        counted[list(first_calls(told.turns, samples.size))] = False
    pieces = tuple(spans(told.turns, samples.size)) or ((0, samples.size),)
    kept = {turn: samples[begin:end][counted[begin:end]] for turn, (begin, end) in enumerate(pieces)}
    calls = calls_per_sample // told.calls_per_sample
    return {turn: _blocks(values, min(values.size, calls)) for turn, values in kept.items() if values.size}


def _blocks(values: Floats, size: int) -> Floats:
    """Means of blocks of so many values, the rest left out."""
    return values if size <= 1 else values[: values.size // size * size].reshape(-1, size).mean(axis=1)


def level(told: Told, calls_per_sample: int = 1) -> float | None:
    """Seconds per call of one launch; None where it has no steady state, or no samples."""
    parts = steady_parts(told, calls_per_sample)
    return float(np.median(np.concatenate(list(parts.values())))) if parts else None


def pair(ours: Told, theirs: Told) -> Pair | None:
    """The two launches of a round; None where one has no steady state.

    Of launches that took turns the log ratio is the median over their turns, as in any run (`compare.turns`).
    """
    calls = theirs.calls_per_sample
    levels = level(ours, calls), level(theirs)
    if levels[0] is None or levels[1] is None:
        return None
    log_ratio = math.log(levels[0] / levels[1])
    if ours.turns and theirs.turns:
        one, other = steady_parts(ours, calls), steady_parts(theirs)
        by_turn = [math.log(np.median(one[turn]) / np.median(other[turn])) for turn in one if turn in other]
        if not by_turn:
            return None
        log_ratio = median(by_turn)
    return Pair(levels[0], levels[1], log_ratio)


def pairs(launches: Sequence[SideLaunch], match: Match) -> tuple[dict[int, Pair], int, int]:
    """The pairs by round, and how many rounds were left out: contaminated ones, and such without a steady state."""
    rounds = whole_rounds(launches, match)
    disturbed = contaminated_rounds(launch.record for sides in rounds.values() for launch in sides.values())
    found, unsteady = {}, 0
    for number, sides in rounds.items():
        if number in disturbed:
            continue
        ours, theirs = sides[OURS].told, sides[match.tool.name].told
        values = None if ours is None or theirs is None else pair(ours, theirs)
        if values is None:
            unsteady += 1
        else:
            found[number] = values
    return found, len(disturbed), unsteady


def is_open(launches: Sequence[SideLaunch], match: Match) -> bool:
    """Whether the interval of a match is still too wide. It sees widths, never ratios."""
    logs = [each.log_ratio for each in pairs(launches, match)[0].values()]
    if len(logs) < MINIMUM_ROUNDS:
        return True
    interval = one_sample(logs).interval
    return interval is None or (interval.high - interval.low) / 2 > TARGET_HALF_WIDTH


def row(launches: Sequence[SideLaunch], match: Match) -> AgreementRow:
    """What was found of a match."""
    found, disturbed, unsteady = pairs(launches, match)
    logs = [each.log_ratio for each in found.values()]
    left_out: Mapping[str, int] = {"disturbed": disturbed, "unsteady": unsteady}
    if not logs:
        reason = _failure(launches, match) or _left_out(left_out) or "no round was measured"
        return not_measured(match.tool, match.lowered.point.title, reason, **left_out)
    location = paired(logs)
    verdict: AgreementVerdict = "inconclusive"
    estimate, reason = as_ratio(location.estimate()), f"{len(logs)} of {MINIMUM_ROUNDS} rounds"
    if len(logs) >= MINIMUM_ROUNDS:
        question = Question(location=location, floor=0.0, p_value=signed_rank.p_value(logs), margin=MARGIN)
        (answer,) = decide([question], "primary")
        verdict, estimate = answer.verdict, answer.ratio  # type: ignore[assignment]
        reason = "" if verdict == "equivalent" else f"not within {percent(MARGIN)}; {match.tool.differs}"
        if verdict == "inconclusive":
            reason = f"{answer.reason}; {match.tool.differs}"
    return AgreementRow(
        tool=match.tool.name,
        backend=match.tool.backend,
        point=match.lowered.point.title,
        layer=match.tool.layer,
        ours_s=median(each.ours_s for each in found.values()),
        theirs_s=median(each.theirs_s for each in found.values()),
        ratio=estimate,
        spread=float(np.std(logs, ddof=1)) if len(logs) > 1 else None,
        rounds=len(logs),
        disturbed=disturbed,
        unsteady=unsteady,
        wall_over_layer=_wall(launches, match, found),
        verdict=verdict,
        reason=reason,
    )


def not_measured(tool: Tool, point: str, reason: str, *, disturbed: int = 0, unsteady: int = 0) -> AgreementRow:
    """The row of a comparison that could not be made."""
    return AgreementRow(
        tool=tool.name,
        backend=tool.backend,
        point=point,
        layer=tool.layer,
        disturbed=disturbed,
        unsteady=unsteady,
        verdict="not measured",
        reason=reason,
    )


def _wall(launches: Sequence[SideLaunch], match: Match, found: Mapping[int, Pair]) -> float | None:
    """Our ordinary latency over our number at the tool's layer: the median over the launches that count."""
    rounds = whole_rounds(launches, match)
    walls = {number: told.wall_s for number in found if (told := rounds[number][OURS].told) is not None}
    ratios = [wall / found[number].ours_s for number, wall in walls.items() if wall is not None]
    return median(ratios) if ratios else None


def _failure(launches: Sequence[SideLaunch], match: Match) -> str:
    failed = [item for item in launches if item.match == match.title and item.told is None]
    return f"{failed[-1].side}: {failed[-1].reason}" if failed else ""


def _left_out(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} rounds {what}" for what, count in counts.items() if count)
