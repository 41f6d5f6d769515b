"""The order of arms within rounds: random, and balanced so that each arm takes each position equally often."""

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


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
