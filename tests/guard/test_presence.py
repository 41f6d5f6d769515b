"""Seconds in which the supervisor was away: told by a clock that runs on while the machine sleeps."""

import itertools
import os
import selectors
import threading

import pytest

from steelyard.core.metrics import Reading
from steelyard.guard.disturbance import disturbance
from steelyard.guard.presence import BEAT_S, Presence, boot_time_s


@pytest.fixture
def pipe():
    read, write = os.pipe()
    with selectors.DefaultSelector() as selector:
        selector.register(read, selectors.EVENT_READ)
        yield selector, read, write
    os.close(read)
    os.close(write)


def asleep_once(seconds: float):
    """A clock that is ahead by so much from its second look on."""
    ahead = itertools.chain((0.0,), itertools.repeat(seconds))
    return lambda: boot_time_s() + next(ahead)


def test_who_only_waits_was_never_away(pipe):
    presence = Presence()
    assert presence.select(pipe[0], 1.2 * BEAT_S) == set()
    assert presence.away_s == 0


def test_a_machine_that_slept_is_noticed_and_its_sleep_is_no_waiting_time(pipe):
    selector, read, write = pipe
    presence = Presence(asleep_once(30.0))
    later = threading.Timer(1.0, os.write, (write, b"x"))
    later.start()
    assert presence.select(selector, 0.2) == {read}, "given up after 0.2 s, although it was asleep meanwhile"
    assert presence.away_s == pytest.approx(30.0 - BEAT_S + 0.2, abs=0.5)
    later.join()


def test_a_launch_that_nobody_watched_counts_as_disturbed():
    assert disturbance({"during/away_s": Reading(value=0.6, unit="s")}) == ""
    told = disturbance({"during/away_s": Reading(value=29.6, unit="s")})
    assert told == "bench itself was stopped, or the machine slept, for 29.6 s while it ran"
