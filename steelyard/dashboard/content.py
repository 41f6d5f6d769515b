"""What the pages say: a history by machine and suite, as plain data. Nothing here is HTML."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from steelyard.core.comparison import Comparison
from steelyard.core.hashing import stable_hash
from steelyard.history.changes import Change, Told
from steelyard.history.nights import Night, Series

LATELY = 50
"""So many changes are told at the top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The series of one suite on one device of one machine, under one budget."""

    suite: str
    machine: str
    device: str
    terms: str
    members: tuple[Told, ...]

    @property
    def slug(self) -> str:
        """A name for its page."""
        return stable_hash([self.suite, self.machine, self.device, self.terms], 12)

    @property
    def nights(self) -> tuple[str, ...]:
        """When its runs began, oldest first."""
        return tuple(sorted({night.created_utc for each in self.members for night in every_night(each)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Of a backend, night by night: how many of its cases gave a number that counts, of how many."""

    arm: str
    nights: tuple[str, ...]
    counted: tuple[int, ...]
    total: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """The newest run that is stored: its comparisons, without that of the control arm, and in a sentence what its
    launches made of their time."""

    run: str
    created_utc: str
    device: str
    time: str
    comparisons: tuple[Comparison, ...]


def groups_of(series: Iterable[Told]) -> tuple[Group, ...]:
    """The groups, by suite, device and when they began."""
    found: dict[tuple[str, str, str, str], list[Told]] = {}
    for each in series:
        key = each.series
        found.setdefault((key.suite, key.machine, key.device, key.terms), []).append(each)
    return tuple(
        Group(suite=suite, machine=machine, device=device, terms=terms, members=tuple(members))
        for (suite, machine, device, terms), members in sorted(found.items())
    )


def every_night(told: Told) -> tuple[Night, ...]:
    """The nights of a series in order, those that count for nothing among them."""
    counted = [night for level in told.levels for night in level.nights]
    return tuple(sorted((*counted, *told.left_out), key=lambda night: (night.created_utc, night.run)))


def lately(series: Iterable[Told]) -> tuple[Change, ...]:
    """The changes of level that count, newest first."""
    found = [change for each in series for change in each.changes if change.matters]
    return tuple(sorted(found, key=lambda change: change.after.since.created_utc, reverse=True)[:LATELY])


def coverage(group: Group) -> tuple[Coverage, ...]:
    """Of each backend of a group."""
    counted: dict[str, Counter[str]] = {}
    total: dict[str, Counter[str]] = {}
    for each in group.members:
        arm = each.series.arm
        for night in every_night(each):
            total.setdefault(arm, Counter())[night.created_utc] += 1
            counted.setdefault(arm, Counter())[night.created_utc] += night.value is not None and not night.reason
    return tuple(
        Coverage(
            arm=arm,
            nights=tuple(sorted(times)),
            counted=tuple(counted[arm][time] for time in sorted(times)),
            total=tuple(times[time] for time in sorted(times)),
        )
        for arm, times in total.items()
    )


def page_of(series: Series) -> str:
    """The name of a series' page."""
    return stable_hash(series, 16)


def named(machines: Mapping[str, str], key: str) -> str:
    """A machine by what is known of it: its device's name, or the beginning of its key."""
    return machines.get(key, f"machine {key[:8]}")


def parts(levels: Sequence[float], height: float, top: float, bottom: float) -> list[float]:
    """Values as heights in a drawing, `top` at 0 and `bottom` at `height`."""
    span = (top - bottom) or 1.0
    return [height * (top - value) / span for value in levels]
