"""Where the level of a series moved, by how much, and which versions changed there.

Levels are means of logarithms over the nights of one stack: another version of a runtime, driver or kernel begins a new
level by itself. The noise of a night is what neighbouring nights differ by.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from steelyard.analysis.verdict import MARGIN
from steelyard.history.nights import Night, Series
from steelyard.stats.change_points import FEWEST, change_points, noise_of

PENALTY = 10.0
"""What a change of level must save of the squared deviations, in units of the noise."""
LEAST_NOISE = 0.002
"""A standard deviation below this (0.2 %) is that of a clock, and no night's."""
ENOUGH = 2 * FEWEST
"""Nights without which nothing is said of a series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Nights in a row at one level: `value` is the geometric mean in the metric's unit; `stack` where it began."""

    nights: tuple[Night, ...]
    value: float

    @property
    def since(self) -> Night:
        """The first night."""
        return self.nights[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A level and the one before it. `ratio` is after over before; `half_width` that of its 95 % interval on the log
    scale. `versions` are what changed in the stack between the last night before and the first after."""

    series: Series
    before: Level
    after: Level
    noise: float
    versions: Mapping[str, tuple[str, str]]

    @property
    def ratio(self) -> float:
        """After over before."""
        return self.after.value / self.before.value

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the 95 % interval of the ratio, by the noise of a night."""
        width = 1.96 * self.noise * math.sqrt(1 / len(self.before.nights) + 1 / len(self.after.nights))
        return self.ratio * math.exp(-width), self.ratio * math.exp(width)

    @property
    def matters(self) -> bool:
        """Whether the whole interval lies beyond the margin, and the level has held for enough nights to be one."""
        low, high = self.interval
        return min(len(self.before.nights), len(self.after.nights)) >= FEWEST and (
            low > 1 + MARGIN or high < 1 / (1 + MARGIN)
        )

    @property
    def worth_repeating(self) -> bool:
        """Whether old and new are to be measured again: it matters, or a version changed and its levels lie further
        apart than the margin. Measuring both side by side tells a false alarm, and nothing else finds a missed one."""
        known = min(len(self.before.nights), len(self.after.nights)) >= FEWEST
        return self.matters or (known and bool(self.versions) and abs(math.log(self.ratio)) > math.log1p(MARGIN))

    @property
    def word(self) -> str:
        """slower or faster, for a metric of which less is better."""
        return "slower" if self.ratio > 1 else "faster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A series with its levels. `left_out` are the nights that count for nothing; `reason` why there are no levels."""

    series: Series
    levels: tuple[Level, ...]
    noise: float | None
    left_out: tuple[Night, ...]
    reason: str = ""

    @property
    def changes(self) -> Iterator[Change]:
        """Every level held against the one before it, of those that had nights enough to be known: what a version of
        one night brought is told of the version after it."""
        for place, after in enumerate(self.levels[1:], start=1):
            earlier = self.levels[:place]
            before = next((each for each in reversed(earlier) if len(each.nights) >= FEWEST), earlier[-1])
            if self.noise is not None:
                yield Change(
                    series=self.series, before=before, after=after, noise=self.noise, versions=_versions(before, after)
                )

    def newest(self, nights: int) -> frozenset[str]:
        """The runs of the last nights that count."""
        every = [night.run for level in self.levels for night in level.nights]
        return frozenset(every[-nights:])


def told(nights: Iterable[Night]) -> tuple[Told, ...]:
    """Every series of a history, in the order in which they began."""
    found: dict[Series, list[Night]] = {}
    for night in nights:
        found.setdefault(night.series, []).append(night)
    return tuple(_told(series, members) for series, members in found.items())


def _told(series: Series, nights: Sequence[Night]) -> Told:
    counted = [night for night in nights if _counts(night)]
    left_out = tuple(night for night in nights if not _counts(night))
    logs = [math.log(night.value) for night in counted if night.value]
    if len(counted) < ENOUGH:
        levels = (_level(counted),) if counted else ()
        reason = f"{len(counted)} nights count; levels are looked for from {ENOUGH} on"
        return Told(series=series, levels=levels, noise=None, left_out=left_out, reason=reason)
    noise = max(noise_of(logs) or 0.0, LEAST_NOISE)
    starts = sorted({0, *_places(counted, logs, noise)})
    parts = [counted[start:end] for start, end in zip(starts, [*starts[1:], len(counted)], strict=True)]
    return Told(series=series, levels=tuple(map(_level, parts)), noise=noise, left_out=left_out)


def _counts(night: Night) -> bool:
    return night.value is not None and not night.reason


def _places(nights: Sequence[Night], logs: Sequence[float], noise: float) -> Iterator[int]:
    """Where levels begin: with a stack of other versions, and where the level moves while it stays the same."""
    begins = [place for place in range(1, len(nights)) if nights[place].stack != nights[place - 1].stack]
    for start, end in zip([0, *begins], [*begins, len(nights)], strict=True):
        yield start
        yield from (start + place for place in change_points(logs[start:end], noise, PENALTY))


def _level(nights: Sequence[Night]) -> Level:
    return Level(nights=tuple(nights), value=math.exp(mean(math.log(night.value) for night in nights if night.value)))


def _versions(before: Level, after: Level) -> dict[str, tuple[str, str]]:
    old, new = before.nights[-1].stack, after.since.stack
    names = dict.fromkeys([*old, *new])
    return {name: (old.get(name, "none"), new.get(name, "none")) for name in names if old.get(name) != new.get(name)}
