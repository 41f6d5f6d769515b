"""Ladders: variants in an order, each of them a rung. They are backends, or the values of one axis of the workloads."""

import re
from collections.abc import Sequence

_SETTING = re.compile(r"(\w+)=(.+)")


def axis_of(rungs: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
    """The axis and its values in their order where the rungs are settings (`batch=1`, `batch=2`); None where they are
    backends, in whose names `=` stands within brackets alone."""
    found = [match for rung in rungs if (match := _SETTING.fullmatch(rung))]
    return (found[0][1], tuple(match[2] for match in found)) if found else None


def settings(axis: str, values: Sequence[str]) -> tuple[str, ...]:
    """The rungs of an axis."""
    return tuple(f"{axis}={value}" for value in values)
