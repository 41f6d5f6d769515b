"""The largest batch, or context, that completes: attempts, the bracket that they leave, and the search itself.

The search is a function of the attempts made so far. The same attempts give the same next value, so that a search
that was interrupted goes on where it stopped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from steelyard.core.result import Stage, Status

FINENESS = 32
"""A bracket is narrow enough when it is one wide, or as wide as a 32nd of the value that completes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One value tried by one backend: how it ended, in which run it is stored (empty for a value that no point of the
    suite has, or that could not be lowered), and the largest peak of any phase by metric, in bytes."""

    value: int
    status: Status
    stage: Stage
    reason: str = ""
    run: str = ""
    peak_bytes: Mapping[str, float] = field(default_factory=dict)

    @property
    def completed(self) -> bool:
        """Whether it ran and its outputs were right."""
        return self.status == "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestRow:
    """The answer for one backend and one workload point but for the searched quantity.

    `completes` is the largest value that completed, `fails` the smallest that did not; None where no attempt did.
    `ended` says why the search stopped before the bracket was narrow enough, '' where it is.
    """

    workload: str
    point: str
    backend: str
    attempts: tuple[Attempt, ...]
    ended: str = ""

    @property
    def completes(self) -> Attempt | None:
        """The attempt with the largest value that completed."""
        return max((a for a in self.attempts if a.completed), key=lambda a: a.value, default=None)

    @property
    def fails(self) -> Attempt | None:
        """The attempt with the smallest value that did not."""
        return min((a for a in self.attempts if not a.completed), key=lambda a: a.value, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Largest:
    """A whole search: of what, on which device, under which limit of memory, by which versions."""

    suite: str
    quantity: str
    meaning: str
    device: str
    memory_cap: str
    created_utc: str
    tool_version: str
    rows: tuple[LargestRow, ...]


def next_value(attempts: Sequence[Attempt], *, start: int, smallest: int = 1) -> int | None:
    """The value to try next: doubled until one fails, then the middle of the bracket; None once it is narrow enough.

    If `start` itself fails it is halved, down to `smallest`.
    """
    completes = max((attempt.value for attempt in attempts if attempt.completed), default=None)
    fails = min((attempt.value for attempt in attempts if not attempt.completed), default=None)
    if fails is None:
        return start if completes is None else 2 * completes
    if completes is None:
        return None if fails <= smallest else max(smallest, fails // 2)
    if fails - completes <= max(1, completes // FINENESS):
        return None
    return (completes + fails) // 2
