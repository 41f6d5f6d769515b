"""The order of arms within rounds: random, and balanced so that each arm takes each position equally often."""

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

_SWEEPS, _GROUPS = 1 << 31, 1 << 30  # their seeds lie apart from those of the orders of launches
_PAIRS = 32  # of turns and pieces, before their order comes again


def balanced_orders(arms: Sequence[T], seed: int) -> Iterator[tuple[T, ...]]:
    """Endless orders of the arms. Every block of `len(arms)` orders is a random Latin square.

    A Latin square gives each arm each position exactly once, so that drift within a round falls on
    all arms alike; rows, columns and symbols are shuffled anew for each block.
    """
    source = random.Random(seed)  # noqa: S311 (design of experiment, not a secret)
    count = len(arms)
    while True:
        symbols, rows, columns = (source.sample(range(count), count) for _ in range(3))
        for row in rows:
            yield tuple(arms[symbols[(row + column) % count]] for column in columns)


def rotated(cases: Sequence[T], by: int) -> tuple[T, ...]:
    """The cases starting `by` places later: over the rounds every case runs first equally often."""
    if not cases:
        return ()
    start = by % len(cases)
    return (*cases[start:], *cases[:start])


def turn_lengths(piece: int, seed: int) -> tuple[int, ...]:
    """How many turns' worth the turns of a window last, over and over: of every two that follow each other, in random
    order, one lasts a turn and the other is a piece of so many. All alike where a piece is one turn."""
    if piece == 1:
        return (1,)
    orders = balanced_orders((1, piece), seed)
    return tuple(length for _ in range(_PAIRS) for length in next(orders))


class Orders:
    """The orders of one bundle in a segment: of the groups of a round, of the launches of each, and of their turns.

    Each is random and balanced by itself over the rounds. `groups` are their arms by label. The order of turns goes on
    from window to window and round to round, so that it is balanced over the run.
    """

    def __init__(self, groups: Sequence[Sequence[str]], seed: int) -> None:
        self._groups = balanced_orders(range(len(groups)), seed + _GROUPS)
        seeds = [(number << 64) + seed for number in range(len(groups))]
        self._starts = [balanced_orders(arms, own) for arms, own in zip(groups, seeds, strict=True)]
        self.sweeps = [balanced_orders(arms, own + _SWEEPS) for arms, own in zip(groups, seeds, strict=True)]

    def of_round(self) -> list[tuple[int, tuple[str, ...]]]:
        """The groups of the next round in their order: the number of each, and its arms in the order of their start."""
        return [(number, next(self._starts[number])) for number in next(self._groups)]
