"""Sequences with repetitions, written once: the layers of a network."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

_FEWEST = 6
"""A repetition that hides fewer items is written out."""
_LONGEST = 96
"""Steps of a repeated part at most: more than the nodes of a layer of a transformer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """`length` items from `begin` on, which follow `times` times one after the other."""

    begin: int
    length: int
    times: int


def folded(items: Sequence[Hashable], cuts: Sequence[int] | None = None) -> Iterator[Part]:
    """Parts that make up the sequence in order, without a loss: of all repetitions the one that hides most items, and
    then in the same way what stands before and behind it; what repeats nothing stands once.

    `cuts` says of each item what it costs to begin a repetition there: of several that hide as much the cheapest is
    taken.
    """
    numbers: dict[Hashable, int] = {}
    codes = [numbers.setdefault(item, len(numbers)) for item in items]
    yield from _within(codes, cuts or [0] * len(codes), 0, len(codes))


def _within(codes: Sequence[int], cuts: Sequence[int], begin: int, end: int) -> Iterator[Part]:
    each = (_best(codes, at, end) for at in range(begin, end))
    found = max(each, key=lambda part: (_hidden(part), -cuts[part.begin]), default=None)
    if found is None or _hidden(found) < _FEWEST:
        if begin < end:
            yield Part(begin=begin, length=end - begin, times=1)
        return
    yield from _within(codes, cuts, begin, found.begin)
    yield found
    yield from _within(codes, cuts, found.begin + found.length * found.times, end)


def _hidden(part: Part) -> int:
    return (part.times - 1) * part.length


def _best(codes: Sequence[int], at: int, end: int) -> Part:
    """The repetition that begins here and hides most, the shortest of several."""
    best = Part(begin=at, length=1, times=1)
    for length in range(1, min(_LONGEST, (end - at) // 2) + 1):
        times = 1
        while at + (times + 1) * length <= end and _same(codes, at, at + times * length, length):
            times += 1
        if (times - 1) * length > _hidden(best):
            best = Part(begin=at, length=length, times=times)
    return best


def _same(codes: Sequence[int], one: int, other: int, length: int) -> bool:
    return codes[one] == codes[other] and codes[one : one + length] == codes[other : other + length]
