"""What changed between two traces of a configuration: which operators take more of a call, or less, and how sure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, variance

from steelyard.core.comparison import Interval
from steelyard.core.details import TraceFacts
from steelyard.core.trace import Kernel
from steelyard.stats.student import quantile
from steelyard.tracing.classes import IDLE, class_of
from steelyard.tracing.traced import TracedCase, unrecorded_s

_CONFIDENCE = 0.95
_FEWEST = 3
"""Launches of a side below which their scatter says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What takes other time in a call than before: an operator in its runtime's words and its class, or a whole class.

    Times are seconds of a call without the profiler: the part that it has of a call with it, of such a call's time.
    `interval` is that of the difference (Welch's, over launches), None where a side has fewer than three.
    """

    operator_class: str
    operator: str
    before_s: float
    after_s: float
    interval: Interval | None

    @property
    def difference_s(self) -> float:
        """What it takes more than before; below zero what it takes less."""
        return self.after_s - self.before_s


def changes(before: TracedCase, after: TracedCase, *, whole_classes: bool) -> tuple[Change, ...]:
    """Every operator that either has: first those that took part in making the call longer, or shorter where it became
    so, the largest difference first, then those that worked against it. Between runtimes `whole_classes` alone are
    alike: each names its operators in its own words."""
    sides = [[_parts(each, whole_classes=whole_classes) for each in case.facts] for case in (before, after)]
    found = {key for side in sides for launch in side for key in launch}
    made = [_change(key, *([launch.get(key, 0.0) for launch in side] for side in sides)) for key in found]
    sign = 1 if sum(change.difference_s for change in made) >= 0 else -1
    return tuple(
        sorted(made, key=lambda change: (*_rank(sign * change.difference_s), change.operator_class, change.operator))
    )


def _rank(along_s: float) -> tuple[bool, float]:
    return along_s < 0, -abs(along_s)


def call_s(case: TracedCase) -> float:
    """Seconds of a call without the profiler, the mean over launches."""
    return mean(each.summary.call_s / each.overhead_ratio for each in case.facts)


def _parts(facts: TraceFacts, *, whole_classes: bool) -> Mapping[tuple[str, str], float]:
    """Seconds of a call by class and operator, without the profiler."""
    found: dict[tuple[str, str], float] = {}
    for each in facts.summary.kernels:
        operator_class = class_of(each.kernel)
        key = operator_class, "" if whole_classes else _operator(each.kernel)
        found[key] = found.get(key, 0.0) + each.seconds / facts.overhead_ratio
    if left_s := unrecorded_s(facts.summary):
        found[IDLE, ""] = left_s / facts.overhead_ratio
    return found


def _operator(kernel: Kernel) -> str:
    """A kernel in words that stay when the program is compiled again, which gives kernels new names."""
    return " ".join(dict.fromkeys((kernel.kind, *kernel.sources)))


def _change(key: tuple[str, str], before: Sequence[float], after: Sequence[float]) -> Change:
    return Change(
        operator_class=key[0],
        operator=key[1],
        before_s=mean(before),
        after_s=mean(after),
        interval=_welch(before, after),
    )


def _welch(before: Sequence[float], after: Sequence[float]) -> Interval | None:
    """The interval of the difference of two means with unlike variances (Welch, 1947)."""
    if min(len(before), len(after)) < _FEWEST:
        return None
    parts = [variance(side) / len(side) for side in (before, after)]
    total, middle = sum(parts), mean(after) - mean(before)
    if not total:
        return Interval(low=middle, high=middle, confidence=_CONFIDENCE)
    sizes = (len(before), len(after))
    freedom = total**2 / sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
    half = quantile((1 + _CONFIDENCE) / 2, max(1, math.floor(freedom))) * math.sqrt(total)
    return Interval(low=middle - half, high=middle + half, confidence=_CONFIDENCE)
