"""What a turn loses at its start, and the rule that leaves it out.

A launch that was stopped finds cold caches and sleeping threads when its turn comes: the first call of a turn may take
longer than those after it. Where a turn has calls enough to know better, its first is left out of the steady samples.
It is kept in the data, counted, and its ratio to the rest is told.
"""

from collections.abc import Iterator, Sequence
from statistics import median

ONE_AFTER_THE_OTHER = "one after the other"
"""How launches ran that took no turns, in words: all of them did before there were turns."""
FEWEST_CALLS = 4
"""With fewer calls in a turn all of them count: one of three would be a third of what was measured."""


def spans(turns: Sequence[int], count: int) -> Iterator[tuple[int, int]]:
    """First sample of each turn and the one after its last; `turns` are the first ones, `count` is how many samples.
    None of a window in one piece."""
    return zip(turns, (*turns[1:], count) if turns else (), strict=True)


def first_calls(turns: Sequence[int], count: int) -> tuple[int, ...]:
    """The samples that are left out of the steady ones, by index. None in a window in one piece (no turns)."""
    return tuple(begin for begin, end in spans(turns, count) if end - begin >= FEWEST_CALLS)


def first_call_ratio(samples: Sequence[float], turns: Sequence[int]) -> float | None:
    """How long the first call of a turn took, as a multiple of the median of the turn's others: the median over the
    turns whose first call is left out. None where there is no such turn."""
    left_out = set(first_calls(turns, len(samples)))
    ratios = [
        samples[begin] / median(samples[begin + 1 : end])
        for begin, end in spans(turns, len(samples))
        if begin in left_out
    ]
    return median(ratios) if ratios else None
