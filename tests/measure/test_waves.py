"""Several calls as one sample: all of them run at the same time, each once, and what goes wrong in one is raised."""

import threading
import time
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.measure.waves import Waves


class Meeting:
    """A call that waits until as many others have begun: alone it would never end."""

    def __init__(self, barrier: threading.Barrier) -> None:
        self.barrier, self.runs, self.settled = barrier, 0, 0
        self.threads: list[int] = []

    def run(self) -> None:
        self.barrier.wait(timeout=20)
        self.runs += 1
        self.threads.append(threading.get_ident())

    def settle(self) -> None:
        self.settled += 1


@contextmanager
def nothing():
    yield


def test_the_calls_of_a_wave_are_under_way_at_the_same_time():
    barrier = threading.Barrier(3)
    calls = [Meeting(barrier) for _ in range(3)]
    waves = Waves(calls, 3, nothing)
    (wave,) = waves.calls
    for _ in range(4):
        wave.run()
        wave.settle()
    assert [call.runs for call in calls] == [4, 4, 4]
    assert [call.settled for call in calls] == [4, 4, 4]
    assert all(len(set(call.threads)) == 1 for call in calls)  # each in the same thread every time
    assert calls[-1].threads[0] == threading.get_ident()
    waves.close()


@given(st.integers(1, 12), st.integers(1, 12))
def test_the_waves_take_all_calls_in_rotation(count, at_a_time):
    count = max(count, at_a_time)

    class Silent:
        def run(self) -> None: ...

        def settle(self) -> None: ...

    waves = Waves([Silent() for _ in range(count)], at_a_time, nothing)
    taken = [place for number in range(count) for place in waves.of(number)]
    assert taken == [place % count for place in range(count * at_a_time)]
    assert all(len(set(waves.of(number))) == at_a_time for number in range(count))  # none twice at a time
    assert waves.of(len(waves.calls)) == waves.of(0)
    waves.close()


def test_what_a_call_raises_in_another_thread_is_raised_after_all_have_ended():
    done = []

    class Failing:
        def run(self) -> None:
            raise RuntimeError("no memory")

        def settle(self) -> None: ...

    class Slow:
        def run(self) -> None:
            time.sleep(0.05)
            done.append(True)

        def settle(self) -> None: ...

    waves = Waves([Failing(), Slow()], 2, nothing)
    with pytest.raises(RuntimeError, match="no memory"):
        waves.calls[0].run()
    assert done == [True]
    waves.close()


def test_threads_are_inside_of_what_the_runtime_asks_for_and_end():
    inside: list[int] = []

    @contextmanager
    def surround():
        inside.append(threading.get_ident())
        yield
        inside.remove(threading.get_ident())

    barrier = threading.Barrier(2)
    calls = [Meeting(barrier), Meeting(barrier)]
    waves = Waves(calls, 2, surround)
    waves.calls[0].run()
    assert inside == [calls[0].threads[0]]
    waves.close()
    assert not inside  # at once: a session that is opened next counts the threads of the process
