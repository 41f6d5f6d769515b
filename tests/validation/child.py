"""What the processes of the vendors' tools share: they serve a launch as our worker does, and write what they measured.

    python -m tests.validation.MODULE REQUEST EVENTS_FD GO_FD [ARGUMENT]

A request holds one case; the process has a worker's environment and CPUs, and says a worker's events, so that it can
take turns with ours.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from steelyard import wire
from steelyard.core.lowered import LoweredPoint
from steelyard.engine.protocol import Event, LaunchRequest
from steelyard.measure import clock
from steelyard.measure.telemetry import without_telemetry
from tests.validation.by_hand import Arrays, read_tensors
from tests.validation.tools import Told

TOLD = "told.json"
"""The file in the scratch folder of the launch."""


class Served:
    """A launch served by a tool: what was asked for, and the turns of its window."""

    def __init__(self, request: LaunchRequest, events_fd: int, go_fd: int) -> None:
        self.request = request
        self._fd, self._go_fd = events_fd, go_fd
        (self._case,) = request.cases

    @property
    def lowered(self) -> LoweredPoint:
        """The point of the request's one case."""
        return self._case.lowered

    @property
    def window_s(self) -> float:
        """How long to measure in all; a cold launch only fills the compile caches."""
        return self._case.pace.seconds if self.request.steady else 0.0

    def turns(self) -> Iterator[float]:
        """For how many seconds to measure now, turn by turn; the process stands before each. One turn, in which nobody
        waits, where launches run one after the other. In a cold launch, too, of no seconds: a tool makes its least."""
        turn_s = self._case.pace.turn_s
        if turn_s is None or not self.request.steady:
            yield self.window_s
            return
        self.say(Event(kind="stage", case_id=self._case.case_id, stage="steady"))
        turn: tuple[float, float] | None = None
        for _ in range(round(self.window_s / turn_s)):
            self._stand(turn, more=True)
            begun_s = clock.CLOCK() * 1e-9
            yield turn_s
            turn = begun_s, clock.CLOCK() * 1e-9
        self._stand(turn, more=False)

    def say(self, event: Event) -> None:
        """Tell the supervisor."""
        os.write(self._fd, wire.encode(event) + b"\n")

    def _stand(self, turn: tuple[float, float] | None, *, more: bool) -> None:
        self.say(Event(kind="turn", case_id=self._case.case_id, stage="steady", more=more, turn=turn))
        if not os.read(self._go_fd, 1):
            os._exit(1)  # the supervisor is gone


def serve(measure: Callable[[Served], Told]) -> None:
    """The main function of such a process."""
    without_telemetry()
    asked, events_fd, go_fd = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    request = wire.read(asked, LaunchRequest)
    if request.budget.cpus:
        os.sched_setaffinity(0, request.budget.cpus)
    os.chdir(request.scratch)  # a tool may write where it stands
    served = Served(request, events_fd, go_fd)
    served.say(Event(kind="stage", case_id=request.cases[0].case_id, stage="compile"))
    told = measure(served)
    Path(request.scratch, TOLD).write_bytes(wire.encode(told))
    served.say(Event(kind="done"))


def pool_of(lowered: LoweredPoint) -> tuple[list[Arrays], list[Arrays]]:
    """Inputs and references of all input sets."""
    return (
        [read_tensors(entry.inputs) for entry in lowered.pool],
        [read_tensors(entry.reference) for entry in lowered.pool],
    )
