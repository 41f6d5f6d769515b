"""What the values of a program need of memory in a call, as its runtime plans or allocates it."""

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.core.metrics import Reading


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
    first.
    """

    weights: Reading
    inputs: int
    outputs: int
    each_apart: Reading
    least: Reading
    reached: Reading
    workspace: Reading
    largest: tuple[Value, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFacts:
    """What a launch tells of memory; without `told`: for this `reason`."""

    told: MemoryProfile | None = None
    reason: str = ""


def least_bytes(values: Sequence[Value]) -> int:
    """Bytes of the largest set of values that are made and to be read at one point between two operators. What an
    operator reads for the last time may be overwritten by what it makes. Raises ValueError where it is not told when
    one is read last."""
    changes: dict[int, int] = {}
    for value in values:
        if value.read_last is None:
            raise ValueError(f"when value '{value.name}' is read last is not told")
        if value.read_last > value.made:
            changes[value.made] = changes.get(value.made, 0) + value.bytes
            changes[value.read_last] = changes.get(value.read_last, 0) - value.bytes
    now = most = 0
    for place in sorted(changes):
        now += changes[place]
        most = max(most, now)
    return most


def largest_first(values: Sequence[Value], most: int = 20) -> tuple[Value, ...]:
    """The largest values."""
    return tuple(sorted(values, key=lambda value: -value.bytes)[:most])
