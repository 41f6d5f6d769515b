"""What a session tells, and whom."""

from typing import Protocol

from steelyard.core.case import Arm
from steelyard.core.result import LaunchRecord, Result
from steelyard.engine.protocol import Event


class Sink(Protocol):
    """Where what happens goes: the store, and the screen."""

    def launch(self, record: LaunchRecord) -> None:
        """A launch ended."""

    def result(self, result: Result) -> None:
        """A case ended."""

    def round_begins(self, number: int, last: int, remaining_s: float | None, launches: int) -> None:
        """A round of so many launches begins; round 0 is the cold one, `last` the number of the last that may come;
        `remaining_s` is about how long the run has to go, None where that is not known."""

    def round_ends(self, number: int) -> bool:
        """A warm round is complete. Whether the intervals are as narrow as asked for; never sees a verdict."""

    def launch_begins(self, arm: Arm, number: int, position: int) -> None:
        """A launch begins."""

    def event(self, event: Event) -> None:
        """The worker said something."""

    def note(self, text: str) -> None:
        """Something the user should know."""
