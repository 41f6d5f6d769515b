"""Several calls at a time, as one sample: a wave begins when all of them are told to run and ends with the last.

One call of a wave runs in the thread that times it, each other in a thread of its own, which waits between waves.
Handing over to them and back is part of the sample: some tens of microseconds, as a server's threads have to be told,
too.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from math import gcd

from steelyard.measure.loop import Call

Surround = Callable[[], AbstractContextManager[object]]
"""What a further thread has to be inside of to make calls."""


class _Thread:
    """Makes one call whenever it is told to."""

    def __init__(self, surround: Surround) -> None:
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._call: Call | None = None
        self._error: BaseException | None = None
        self._surround = surround
        self._thread = threading.Thread(target=self._serve, daemon=True)  # a call that hangs must not keep the process
        self._thread.start()

    def begin(self, call: Call | None) -> None:
        """Make this call; None ends the thread."""
        self._call = call
        self._go.release()

    def leave(self) -> None:
        """End the thread and see it gone: runtimes count the threads of the process."""
        self.begin(None)
        self._thread.join()

    def end(self) -> None:
        """Wait for the call. Raises what it raised."""
        self._done.acquire()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _serve(self) -> None:
        with self._surround():
            while True:
                self._go.acquire()
                call = self._call
                if call is None:
                    return
                try:
                    call.run()
                except BaseException as error:  # noqa: BLE001 (it is raised in the thread that waits)
                    self._error = error
                self._done.release()


class Wave:
    """These calls at once. `settle` settles each, outside the sample."""

    def __init__(self, calls: Sequence[Call], threads: Sequence[_Thread]) -> None:
        self._calls, self._threads = calls, threads

    def run(self) -> None:
        """The sample. Raises what one of the calls raised, after all have ended."""
        *others, own = self._calls
        for thread, call in zip(self._threads, others, strict=True):
            thread.begin(call)
        failed: BaseException | None = None
        try:
            own.run()
        except BaseException as error:  # noqa: BLE001 (raised below)
            failed = error
        for thread in self._threads:
            try:
                thread.end()
            except BaseException as error:  # noqa: BLE001 (raised below)
                failed = failed or error
        if failed is not None:
            raise failed

    def settle(self) -> None:
        """See `Call`."""
        for call in self._calls:
            call.settle()


class Waves:
    """Calls in waves of so many, in rotation: the n-th wave has those of the numbers `of(n)`."""

    def __init__(self, calls: Sequence[Call], at_a_time: int, surround: Surround) -> None:
        self._count, self._at_a_time = len(calls), at_a_time
        self._threads = [_Thread(surround) for _ in range(at_a_time - 1)]
        different = len(calls) // gcd(len(calls), at_a_time)
        self.calls = [Wave([calls[place] for place in self.of(number)], self._threads) for number in range(different)]

    def of(self, number: int) -> list[int]:
        """The places of the calls of a wave."""
        first = number * self._at_a_time
        return [(first + place) % self._count for place in range(self._at_a_time)]

    def close(self) -> None:
        """End the threads."""
        for thread in self._threads:
            thread.leave()
