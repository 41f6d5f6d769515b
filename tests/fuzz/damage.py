"""Ways in which bytes come to be wrong."""

import random
from collections.abc import Callable, Sequence

Damage = Callable[[bytes, random.Random], bytes]


def flipped(data: bytes, source: random.Random) -> bytes:
    """One to eight bits are others."""
    found = bytearray(data)
    for _ in range(source.randint(1, 8)):
        found[source.randrange(len(found))] ^= 1 << source.randrange(8)
    return bytes(found)


def cut(data: bytes, source: random.Random) -> bytes:
    """The end is missing."""
    return data[: source.randrange(len(data))]


def hole(data: bytes, source: random.Random) -> bytes:
    """A part is zeros."""
    start = source.randrange(len(data))
    length = min(source.randint(1, 256), len(data) - start)
    return data[:start] + bytes(length) + data[start + length :]


def doubled(data: bytes, source: random.Random) -> bytes:
    """A part stands there twice, so that all after it lies elsewhere."""
    start = source.randrange(len(data))
    end = min(len(data), start + source.randint(1, 64))
    return data[:end] + data[start:end] + data[end:]


def huge(data: bytes, source: random.Random) -> bytes:
    """A number of eight bytes is the largest one: a length that cannot be."""
    start = source.randrange(len(data))
    return data[:start] + b"\xff" * 8 + data[start + 8 :]


WAYS: Sequence[Damage] = (flipped, cut, hole, doubled, huge)
