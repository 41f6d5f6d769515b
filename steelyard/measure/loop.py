"""The timed loop: one host clock, samples in time order, nothing but the call inside a sample."""

import gc
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from steelyard.core.result import StopReason
from steelyard.measure import clock as clocks
from steelyard.measure.clock import witness_ns

CLOCK = clocks.CLOCK


class Call(Protocol):
    """What the loop repeats: a runner's binding, or a whole generated answer."""

    def run(self) -> None:
        """The sample: returns when every output is complete."""

    def settle(self) -> None:
        """Outside the sample: adopt state, release outputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When each call started and how long it took, nanoseconds on one monotonic clock, in time order.

    `elapsed_ns` is the whole window on that clock, `witness_ns` the same window on the other (see `measure.clock`), as
    near to it as the reads around both ends allow.
    """

    starts_ns: Sequence[int]
    durations_ns: Sequence[int]
    stop: StopReason
    elapsed_ns: int
    witness_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A window ends once it has lasted `seconds` and has `minimum` calls, or at `maximum` calls, or after `cap_s`."""

    seconds: float
    minimum: int
    maximum: int
    cap_s: float


@contextmanager
def quiet_collector() -> Iterator[None]:
    """No garbage collection inside: collected before, frozen, switched off, restored afterwards."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def timed_window(
    calls: Sequence[Call], limits: Limits, inspect: Callable[[int], None], checks: "CheckPoints"
) -> Window:
    """Run the calls in rotation and time each.

    A sample holds one `run()` and a pair of clock reads. `inspect(index)` is called between `run()`
    and `settle()`, outside the sample, for the calls that `checks` picks; the runner cannot know which.
    """
    clock = CLOCK
    count = len(calls)
    starts = [0] * limits.maximum
    durations = [0] * limits.maximum
    shortest = round(limits.seconds * 1e9)
    longest = round(limits.cap_s * 1e9)
    checked = checks.first
    index = 0
    with quiet_collector():
        before, begin, after = witness_ns(), clock(), witness_ns()
        while True:
            call = calls[index % count]
            run = call.run
            start = clock()
            run()
            end = clock()
            starts[index] = start
            durations[index] = end - start
            if index == checked:
                inspect(index)
                checked = checks.after(index)
            call.settle()
            index += 1
            elapsed = end - begin
            if index >= limits.maximum:
                stop: StopReason = "calls"
                break
            if elapsed >= shortest and index >= limits.minimum:
                stop = "samples" if elapsed > shortest * 2 else "time"
                break
            if elapsed >= longest:
                stop = "time"
                break
        first, whole, last = witness_ns(), clock() - begin, witness_ns()
    return Window(
        starts_ns=starts[:index],
        durations_ns=durations[:index],
        stop=stop,
        elapsed_ns=whole,
        witness_ns=clocks.nearest(whole, first - after, last - before),
    )


class CheckPoints:
    """Randomly chosen call indices, dense early and sparse late, about log2 of the number of calls.

    The first lies among the first `early` calls. The sequence is a function of the seed alone.
    """

    def __init__(self, seed: int, early: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 (unforeseeable for the runner, not a secret)
        self.first = self._random.randrange(max(1, early))

    def after(self, index: int) -> int:
        """The next index to check after `index`."""
        return index + 1 + self._random.randrange(max(2, index))


def loop_overhead_s(calls: int = 20_000) -> float:
    """Median of an empty sample: what the loop itself adds to every call, in seconds."""

    class Nothing:
        def run(self) -> None:
            return None

        def settle(self) -> None:
            return None

    window = timed_window(
        [Nothing()],
        Limits(seconds=0.0, minimum=calls, maximum=calls, cap_s=10.0),
        inspect=lambda index: None,
        checks=CheckPoints(seed=0, early=1),
    )
    ordered = sorted(window.durations_ns)
    return ordered[len(ordered) // 2] * 1e-9
