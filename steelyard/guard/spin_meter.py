"""The spin meter that waits: how fast the measured CPUs are, read in a moment whenever it is asked."""

import os
import select
import subprocess
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Self

from steelyard.core.metrics import Reading, absent
from steelyard.guard import spin
from steelyard.guard.child import file_command
from steelyard.guard.environment import for_child

READ_NS = 150_000
"""Of each CPU. Single readings of a quiet virtual machine then lie within 1 % (standard deviation)."""
_WARM_NS, _RESTED_NS = 100_000, 10_000_000
_MOST_CPUS = 4
"""One CPU after the other is read: of more, as many that lie evenly apart."""
_ANSWER_S = 10.0
"""On a busy machine it takes a second to start."""
_PART_KEPT = 0.2


class SpinMeter:
    """One small process for a whole segment, asleep unless it is asked. A context manager.

    One process for all CPUs and launches: two processes differ in speed by where their memory lies, and what is
    compared is one CPU or moment with another. It has a session of its own, bears no mark of a launch and ends with
    this process, so that nobody stops it or takes it for a launch's.
    """

    def __init__(self, cpus: Collection[int]) -> None:
        self.cpus = some_of(sorted(cpus or os.sched_getaffinity(0)))
        self._failed = ""

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            file_command(spin.__file__, "serve", *map(str, self.cpus)),
            env=for_child(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()

    def read(self, *, rested: bool = False) -> Reading:
        """`spin_hz` of this moment: how often the loop goes round in a second, gaps left out, on the slowest CPU.

        Takes a quarter of a millisecond for each CPU. `rested`: nothing ran just before, and a CPU's clock may need
        some milliseconds of work to rise. Call it while nothing of one's own runs.
        """
        if not self._failed:
            told = self._asked(f"{_RESTED_NS if rested else _WARM_NS} {READ_NS}\n")
        if self._failed:
            return absent("Hz", f"no spin meter: {self._failed}")
        speeds = [
            steps / kept_ns * 1e9
            for steps, kept_ns in zip(told[::2], told[1::2], strict=True)
            if kept_ns >= _PART_KEPT * READ_NS
        ]
        if not speeds:
            return absent("Hz", "others had the CPUs while the spin meter was to read")
        method = f"spin meter, {READ_NS / 1e6:g} ms on each of the CPUs {', '.join(map(str, self.cpus))}; the slowest"
        return Reading(value=min(speeds), unit="Hz", method=method)

    def _asked(self, question: str) -> list[int]:
        """The answer of the process; empty once it has failed, which is for good."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(question.encode())
        except BrokenPipeError:
            self._fail()
            return []
        ready, _, _ = select.select([self.process.stdout], [], [], _ANSWER_S)
        answer = self.process.stdout.read(1024) if ready else b""
        if not answer:
            self._fail("" if ready else f"it did not answer within {_ANSWER_S:g} s")
        return [int(word) for word in (answer or b"").split()]

    def _fail(self, reason: str = "") -> None:
        """It is over: `reason`, or the last words of the process."""
        self.process.kill()
        _, told = self.process.communicate()
        lines = told.decode(errors="replace").strip().splitlines()
        self._failed = reason or (lines[-1] if lines else f"it ended with {self.process.returncode}")


def some_of(cpus: Sequence[int]) -> tuple[int, ...]:
    """The CPUs that are read: all, or of many those that lie evenly apart, the first and the last among them."""
    if len(cpus) <= _MOST_CPUS:
        return tuple(cpus)
    return tuple(cpus[place * (len(cpus) - 1) // (_MOST_CPUS - 1)] for place in range(_MOST_CPUS))
