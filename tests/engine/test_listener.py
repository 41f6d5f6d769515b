"""Time-outs while the supervisor itself was away, with a made-up clock: the worker is charged for none of it."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steelyard import wire
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.engine.listener import Listener
from steelyard.engine.protocol import Event, LaunchRequest
from steelyard.guard.presence import Presence, boot_time_s

AWAY_S = 300.0
TIMEOUT_S = 30.0


class Pipe:
    """What a worker says, heard by a listener whose supervisor is away for AWAY_S whenever the test says so."""

    def __init__(self, tmp_path: Path) -> None:
        self.ahead_s = 0.0
        self.read, self._write = os.pipe()
        self.exited, self._alive = os.pipe()
        request = LaunchRequest(
            launch="run/0001",
            arm="eager",
            round=1,
            position=0,
            backend=parse_backend("eager"),
            device=Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
            budget=Budget(threads=1, cpus=()),
            compile_cache=str(tmp_path),
            scratch=str(tmp_path),
            seed=0,
            steady=True,
            cases=(),
        )
        timeouts = {"spawn": TIMEOUT_S, "steady": TIMEOUT_S}
        presence = Presence(lambda: boot_time_s() + self.ahead_s)
        self.listener = Listener(request, self.read, self.exited, timeouts, self.heard, presence)
        self.away_after = ""

    def say(self, *events: Event) -> None:
        os.write(self._write, b"".join(wire.encode(event) + b"\n" for event in events))

    def write(self, data: bytes) -> None:
        os.write(self._write, data)

    def heard(self, event: Event) -> None:
        if event.kind == self.away_after:
            self.away()

    def away(self) -> None:
        self.ahead_s += AWAY_S

    def close(self) -> None:
        for descriptor in (self.read, self._write, self.exited, self._alive):
            os.close(descriptor)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    made = Pipe(tmp_path)
    yield made
    made.close()


def later(call: Callable[..., None], *arguments: Event) -> threading.Timer:
    timer = threading.Timer(0.3, call, arguments)
    timer.start()
    return timer


def test_a_turn_whose_end_was_heard_late_leaves_the_next_one_its_time(pipe: Pipe) -> None:
    turn = Event(kind="turn", stage="steady", more=True)
    pipe.away_after = "stage"
    pipe.say(Event(kind="stage", stage="steady"))
    late = later(pipe.say, turn)
    assert pipe.listener.listen() == "turn"
    late.join()
    late = later(pipe.say, turn)
    assert pipe.listener.listen() == "turn"
    late.join()
    assert pipe.listener.presence.away_s == pytest.approx(AWAY_S, abs=2)


def test_half_a_line_that_was_heard_late_leaves_the_other_half_its_time(pipe: Pipe) -> None:
    line = wire.encode(Event(kind="done")) + b"\n"
    pipe.say(Event(kind="stage", stage="steady"))

    def away_and_then_in_halves() -> None:
        pipe.away()
        pipe.write(line[:7])
        time.sleep(0.3)
        pipe.write(line[7:])

    late = later(away_and_then_in_halves)
    assert pipe.listener.listen() == "done"
    late.join()
