"""The algebra of roofs: rates and shares with intervals, ridge points, what a result may reach at an intensity.

S. Williams, A. Waterman, D. Patterson, Roofline: an insightful visual performance model for multicore architectures,
Communications of the ACM 52(4) (2009), 65-76: attainable = min(peak, intensity x bandwidth).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from steelyard.core.ceilings import MEMORY, Ceiling, Ceilings
from steelyard.core.comparison import Estimate, Interval
from steelyard.core.profile import ComputedPeak, HardwareProfile

Origin = Literal["measured", "declared", "computed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Roof:
    """A rate that the hardware is held to reach: operations or bytes per second, where it comes from, in words.

    A measured roof has the interval of its estimate, None if it has too few rounds; the others are numbers.
    """

    per_s: float
    origin: Origin
    label: str
    interval: Interval | None = None

    @property
    def estimate(self) -> Estimate:
        """The roof as an estimate; a number that is not measured is its own interval of level 1."""
        interval = self.interval if self.origin == "measured" else exactly(self.per_s)
        reason = "" if interval is not None else "the ceiling was measured in too few rounds"
        return Estimate(value=self.per_s, interval=interval, n=0, reason=reason)


def exactly(value: float) -> Interval:
    """The interval of a number that is no estimate."""
    return Interval(low=value, high=value, confidence=1.0)


def rate(work: float, seconds: Estimate) -> Estimate:
    """Work per second, from the time that it takes."""
    return quotient(Estimate(value=work, interval=exactly(work), n=seconds.n), seconds)


def quotient(above: Estimate, below: Estimate) -> Estimate:
    """The ratio of two positive estimates: from the low end over the high one to the high over the low.

    Its level is what both intervals hold together at least (Bonferroni): 1 minus the sum of what each may miss.
    """
    a, b = above.interval, below.interval
    interval = None
    if a is not None and b is not None and b.low > 0:
        interval = Interval(low=a.low / b.high, high=a.high / b.low, confidence=jointly(a, b))
    return _with(above.value / below.value, interval, (above, below))


def product(factors: Iterable[Estimate]) -> Estimate:
    """The product of estimates that are not negative; its level as that of `quotient`."""
    given = tuple(factors)
    value, low, high = 1.0, 1.0, 1.0
    intervals = [factor.interval for factor in given if factor.interval is not None]
    for factor in given:
        value *= factor.value
    for each in intervals:
        low, high = low * each.low, high * each.high
    whole = len(intervals) == len(given)
    interval = Interval(low=low, high=high, confidence=jointly(*intervals)) if whole else None
    return _with(value, interval, given)


def jointly(*intervals: Interval) -> float:
    """The level at which all of these hold together at least."""
    return max(0.0, 1.0 - sum(1.0 - interval.confidence for interval in intervals))


def ridge(peak: float, bandwidth: float) -> float:
    """The intensity, in operations a byte, from which the peak and no longer the bandwidth is the lower roof."""
    return peak / bandwidth


def attainable(intensity: float, peak: float, bandwidth: float) -> float:
    """Operations per second that the lower of the two roofs allows at an intensity."""
    return min(peak, intensity * bandwidth)


def beyond(share: Estimate) -> bool:
    """Whether a share of a ceiling lies above it, its whole interval where it has one."""
    return (share.value if share.interval is None else share.interval.low) > 1


def peaks(
    dtype: str,
    ceilings: Ceilings | None,
    profile: HardwareProfile | None,
    computed: Iterable[ComputedPeak] = (),
) -> tuple[Roof, ...]:
    """The roofs of arithmetic in a dtype: measured, declared, computed, as far as they are known, in this order."""
    found: list[Roof] = []
    measured = None if ceilings is None or ceilings.grade == "F" else ceilings.peak(dtype)
    if measured is not None:
        found.append(_measured(measured))
    fact = None if profile is None else profile.peak_dense_per_s.get(dtype)
    if fact is not None and profile is not None:
        found.append(Roof(per_s=float(fact.value), origin="declared", label=f"{profile.model}, {fact.source.document}"))
    found += [
        Roof(per_s=each.per_s, origin="computed", label=each.assumptions) for each in computed if each.dtype == dtype
    ]
    return tuple(found)


def bandwidths(level: str, ceilings: Ceilings | None, profile: HardwareProfile | None) -> tuple[Roof, ...]:
    """The roofs of a level of memory: measured, declared (memory alone), as far as they are known, in this order."""
    found: list[Roof] = []
    measured = None if ceilings is None or ceilings.grade == "F" else ceilings.bandwidth(level)
    if measured is not None:
        found.append(_measured(measured))
    fact = None if profile is None or level != MEMORY else profile.memory_bandwidth_bytes_per_s
    if fact is not None and profile is not None:
        found.append(Roof(per_s=float(fact.value), origin="declared", label=f"{profile.model}, {fact.source.document}"))
    return tuple(found)


def _measured(ceiling: Ceiling) -> Roof:
    assert ceiling.estimate is not None
    where = ceiling.dtype or ceiling.level
    label = f"{ceiling.what} by {ceiling.by}, {where}"
    return Roof(per_s=ceiling.estimate.value, origin="measured", label=label, interval=ceiling.estimate.interval)


def _with(value: float, interval: Interval | None, parts: Iterable[Estimate]) -> Estimate:
    """The estimate with the smallest count of launches among its parts, and the first reason for a missing interval."""
    given = tuple(parts)
    counts = [part.n for part in given if part.n > 0]
    reason = "" if interval is not None else next((p.reason for p in given if p.interval is None and p.reason), "")
    return Estimate(value=value, interval=interval, n=min(counts, default=0), reason=reason)
