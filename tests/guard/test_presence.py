"""Seconds in which the supervisor was away: told by a clock that runs on while the machine sleeps."""

import os
import selectors

import pytest

from steelyard.core.metrics import Reading
from steelyard.guard.contamination import contamination
from steelyard.guard.presence import BEAT_S, Presence


@pytest.fixture
def pipe():
    read, write = os.pipe()
    with selectors.DefaultSelector() as selector:
        selector.register(read, selectors.EVENT_READ)
        yield selector, read, write
    os.close(read)
    os.close(write)


class Waiting:
    """A selector in which nothing ever happens, and the clock of a machine that sleeps `asleep_s` in its first wait."""

    def __init__(self, asleep_s: float = 0.0) -> None:
        self.now_s = 1000.0
        self.waited_s = 0.0
        self._asleep_s = asleep_s

    def select(self, seconds: float) -> list:
        self.waited_s += seconds
        self.now_s += seconds + self._asleep_s
        self._asleep_s = 0.0
        return []


def test_who_only_waits_was_never_away(pipe):
    presence = Presence()
    assert presence.select(pipe[0], presence.time_s() + 1.2 * BEAT_S) == set()
    assert presence.away_s == 0


@pytest.mark.parametrize("asleep_s", [0.0, 30.0, 8 * 3600.0])
def test_a_machine_that_slept_has_waited_no_shorter_and_no_longer(asleep_s):
    machine = Waiting(asleep_s)
    presence = Presence(lambda: machine.now_s)
    assert presence.select(machine, presence.time_s() + 10.0) == set()
    assert presence.away_s == pytest.approx(asleep_s)
    assert machine.waited_s == pytest.approx(10.0)


def test_what_is_ready_when_it_wakes_is_taken(pipe):
    selector, read, write = pipe
    machine = Waiting()
    presence = Presence(lambda: machine.now_s)
    machine.now_s += 30.0
    os.write(write, b"x")
    assert presence.select(selector, presence.time_s() + 0.2) == {read}
    assert presence.away_s == pytest.approx(30.0 - BEAT_S)


def test_a_launch_that_nobody_watched_counts_as_contaminated():
    assert contamination({"during/away_s": Reading(value=0.6, unit="s")}) == ""
    told = contamination({"during/away_s": Reading(value=29.6, unit="s")})
    assert told == "bench itself was stopped, or the machine slept, for 29.6 s while it ran"
