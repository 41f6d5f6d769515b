"""What the values of a program need of memory in a call, as its runtime plans or allocates it."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from steelyard.core.metrics import Reading

Span = tuple[int, int, int]
"""A place from which memory is held, the one from which it no longer is, and its bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """An intermediate value: what an operator makes and a later one reads. `made` and `read_last` are the places of
    these operators in the order of execution; `read_last` is None where the runtime does not tell."""

    name: str
    operator: str
    bytes: int
    made: int
    read_last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryProfile:
    """Bytes of a call, each of them known or absent with the reason.

    `weights` are constants and parameters, `inputs` and `outputs` those of a call by their shapes. Of intermediate
    values `each_apart` is what they need where none shares a place with another, `least` what any plan needs: the
    largest set of values that wait for an operator between two others. `reached` is the peak of what the runtime took
    for them. `workspace` is the largest that one operator took for itself alone. `largest` are values, the largest
    first. `over_time` is what intermediate values hold in the course of the call (`over_time`); empty where the runtime
    does not tell, and in runs of versions that did not ask.
    """

    weights: Reading
    inputs: int
    outputs: int
    each_apart: Reading
    least: Reading
    reached: Reading
    workspace: Reading
    largest: tuple[Value, ...] = ()
    over_time: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFacts:
    """What a launch tells of memory; without `told`: for this `reason`."""

    told: MemoryProfile | None = None
    reason: str = ""


def spans_of(values: Sequence[Value]) -> list[Span]:
    """From where to where each value waits to be read. What an operator reads for the last time may be overwritten by
    what it makes. Raises ValueError where it is not told when one is read last."""
    found = []
    for value in values:
        if value.read_last is None:
            raise ValueError(f"when value '{value.name}' is read last is not told")
        if value.read_last > value.made:
            found.append((value.made, value.read_last, value.bytes))
    return found


def held(spans: Iterable[Span]) -> list[tuple[int, int]]:
    """The bytes that are held from each place on at which they change, in the order of places."""
    changes: dict[int, int] = {}
    for begin, end, size in spans:
        changes[begin] = changes.get(begin, 0) + size
        changes[end] = changes.get(end, 0) - size
    places = sorted(changes)
    return list(zip(places, accumulate(changes[place] for place in places), strict=True))


def most_held(spans: Iterable[Span]) -> int:
    """The most bytes that are held at one place."""
    return max((size for _, size in held(spans)), default=0)


def least_bytes(values: Sequence[Value]) -> int:
    """Bytes of the largest set of values that are made and to be read at one point between two operators. Raises
    ValueError where it is not told when one is read last."""
    return most_held(spans_of(values))


def over_time(spans: Iterable[Span], most: int = 240) -> tuple[int, ...]:
    """The bytes that are held along the order of execution, in at most so many parts of equal length, in each the most;
    from the first place at which anything is held to the last."""
    steps = held(spans)
    if not steps:
        return ()
    first, length = steps[0][0], steps[-1][0] - steps[0][0]
    parts = min(most, length)
    places = [(place - first) * parts for place, _ in steps]  # in units in which parts begin at whole numbers
    found, index = [], 0
    for begin in range(0, parts * length, length):
        while index + 1 < len(steps) and places[index + 1] <= begin:
            index += 1
        within = bisect_left(places, begin + length, lo=index + 1)
        found.append(max(size for _, size in steps[index:within]))
    return tuple(found)


def largest_first(values: Sequence[Value], most: int = 20) -> tuple[Value, ...]:
    """The largest values."""
    return tuple(sorted(values, key=lambda value: -value.bytes)[:most])
