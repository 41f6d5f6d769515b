"""What a worker says, and for how long it may be silent: events from its pipe, time-outs of its stages.

The supervisor blocks in `select` on the pipe and the process, and wakes twice a second to see whether it was itself
away: what it missed is not charged to the worker.
"""

import os
import selectors
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from steelyard import wire
from steelyard.core.result import Result, Stage
from steelyard.engine.protocol import Event, LaunchRequest
from steelyard.guard.presence import Presence

_UNSEEN_S = 1.0  # the worker collects garbage before its window, and the supervisor may read an event late


class Listener:
    """Reads events until the launch is done, stands before or after a turn, dies, or outstays a stage's time-out.

    `pipe` is the end that the worker's events come from, `exited` becomes readable once it has ended.
    """

    def __init__(
        self,
        request: LaunchRequest,
        pipe: int,
        exited: int,
        timeouts: Mapping[str, float],
        on_event: Callable[[Event], None],
        presence: Presence | None = None,
    ) -> None:
        self.stage: Stage = "spawn"
        self.case_id = ""
        self.results: list[Result] = []
        self.turn: Event | None = None
        self._pipe = pipe
        self._exited = exited
        self._timeouts = timeouts
        self._on_event = on_event
        self._caps = {case.case_id: case.pace.cap_s for case in request.cases}
        self._buffer = b""
        self._done = False
        self._window_began: float | None = None
        self._window_s: float | None = None
        self._missed_s = 0.0  # of the window, at most: either of its ends may have been seen so late
        self.presence = presence or Presence()
        self._spent_s = 0.0  # of the stage's time-out, before the worker was stopped in it
        self._since_s = self.presence.time_s()  # when the stage began, or went on

    def listen(self) -> str:
        """`done`, `exited` or `timed_out`; `turn` once the worker stands before or after one: listen again to go on.

        Time-outs count no time between two calls, and none in which the supervisor was away.
        """
        self.presence.begin()  # while this launch was stopped, the supervisor was there for another
        self._since_s = self.presence.time_s()
        if self.turn is not None and self.turn.more:
            self._window_began = time.monotonic()
        self.turn = None
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            selector.register(self._exited, selectors.EVENT_READ)
            while not self._done and self.turn is None:
                away_s = self.presence.away_s
                ready = self.presence.select(selector, self._deadline_s())
                away_s = self.presence.away_s - away_s
                self._missed_s += away_s
                if not ready:
                    return "timed_out"
                # The process alone is ready once it is dead. A child that it left behind may hold the pipe open:
                # end of file is not waited for.
                if self._pipe not in ready or not self._read(away_s):
                    return "exited"
        return "done" if self._done else "turn"

    def _deadline_s(self) -> float:
        allowed = self._timeouts[self.stage]
        if self.stage == "steady":
            allowed += self._caps.get(self.case_id, 0.0)
        return self._since_s + allowed - self._spent_s

    def _read(self, away_s: float) -> bool:
        data = os.read(self._pipe, 1 << 20)
        self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            event = wire.decode(line, Event, "what the worker sent")
            if event.kind == "stage":
                self.stage, self.case_id = event.stage, event.case_id
                self._time_window(event.stage, away_s)
            elif event.kind == "turn":
                self.turn = event
                self._spent_s += self.presence.time_s() - self._since_s
                self._end_piece()
            elif event.kind == "result" and event.result is not None:
                event = replace(event, result=believed(event.result, self._window_s, self._missed_s))
                self.results.append(cast(Result, event.result))
            elif event.kind == "done":
                self._done = True
            if event.kind != "turn":
                self._spent_s, self._since_s = 0.0, self.presence.time_s()
            self._on_event(event)
        return bool(data)

    def _time_window(self, stage: Stage, away_s: float) -> None:
        """How long the timed window was for the supervisor, event to event; of turns, all together."""
        self._end_piece()
        if stage == "steady":
            self._window_began, self._window_s, self._missed_s = time.monotonic(), None, away_s

    def _end_piece(self) -> None:
        if self._window_began is not None:
            self._window_s = (self._window_s or 0.0) + time.monotonic() - self._window_began
        self._window_began = None


def believed(result: Result, window_s: float | None, missed_s: float = 0.0) -> Result:
    """The result, or a failure if its window cannot have lasted as long as the worker's clock says.

    The worker checks its clock to 1 %. This is for what it cannot see, a clock replaced below Python: what
    supervisor and worker saw differs by more than a factor of two and a second. The `missed_s` in which the supervisor
    was away say nothing: it may have seen the window so much longer or shorter.
    """
    latency = result.measurement("latency_s")
    if window_s is None or latency is None or not len(latency.samples):
        return result
    told = result.details.window_s  # checks of outputs are in it
    if told is None:
        told = latency.starts_s[-1] + latency.samples[-1]
    if (window_s - missed_s - _UNSEEN_S) / 2 <= told <= 2 * (window_s + missed_s) + _UNSEEN_S:
        return result
    reason = (
        f"the worker's clock counted {told:.3g} s for a window that took {window_s:.3g} s: its times are not to be "
        "believed"
    )
    return replace(result, status="failed", reason=reason)
