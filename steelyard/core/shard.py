"""A part of a run that is measured by itself, on another device or at another time, and joined with the rest later."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlace:
    """Which part: `number` of `count`, from 1, of the plan with this id."""

    plan: str
    number: int
    count: int

    def __str__(self) -> str:
        return f"shard {self.number} of {self.count} of plan {self.plan}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """What one machine is asked to measure: `asked` as `steelyard.service.asked.request_of` takes it, and of the
    configurations that follow from it those with these keys (`Point.key`), in this order. `titles` are theirs.
    """

    tool_version: str
    place: ShardPlace
    asked: Mapping[str, Any]
    points: tuple[str, ...]
    titles: tuple[str, ...]
