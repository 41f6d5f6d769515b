"""The timed loop: one host clock, samples in time order, nothing but the call inside a sample."""

import gc
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from steelyard.core.result import StopReason
from steelyard.measure import clock as clocks
from steelyard.measure.clock import witness_ns

CLOCK = clocks.CLOCK
Turn = tuple[int, int]
"""Beginning and end on that clock."""


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
    near to it as the reads around both ends allow. Of a window in turns both are sums over its turns, `turns` the index
    of the first call of each, and `begun_s` when the first began, on the clock of the whole run.
    """

    starts_ns: Sequence[int]
    durations_ns: Sequence[int]
    stop: StopReason
    elapsed_ns: int
    witness_ns: int
    turns: Sequence[int] = ()
    begun_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A window ends once it has lasted `seconds` and has `minimum` calls, or at `maximum` calls, or after `cap_s`.

    Seconds are those of its turns together. A turn lasts `turn_s` and at least one call, and has no more than its part
    of `maximum` calls; None is one turn. `lengths` says how many turns' worth of time and calls each turn has, over and
    over.
    """

    seconds: float
    minimum: int
    maximum: int
    cap_s: float
    turn_s: float | None = None
    lengths: Sequence[int] = (1,)

    @property
    def calls_a_turn(self) -> int:
        """The most calls of one turn."""
        if self.turn_s is None:
            return self.maximum
        return max(1, math.ceil(self.maximum * min(1.0, self.turn_s / self.seconds)))


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
    calls: Sequence[Call],
    limits: Limits,
    inspect: Callable[[int], None],
    checks: "CheckPoints",
    stand: Callable[[Turn | None, bool], None] = lambda turn, more: None,
) -> Window:
    """Run the calls in rotation and time each.

    A sample holds one `run()` and a pair of clock reads. `inspect(index)` is called between `run()`
    and `settle()`, outside the sample, for the calls that `checks` picks; the runner cannot know which.
    Of a window in turns `stand(turn, more)` is called before each turn with the one that ended (None before the first),
    and once more when all are over; it returns when this process may go on.
    """
    clock = CLOCK
    count = len(calls)
    starts = [0] * limits.maximum
    durations = [0] * limits.maximum
    turns: list[int] = []
    shortest = round(limits.seconds * 1e9)
    longest = round(limits.cap_s * 1e9)
    turn_ns = piece_ns = None if limits.turn_s is None else round(limits.turn_s * 1e9)
    a_turn = limits.calls_a_turn
    checked = checks.first
    index = elapsed_ns = seen_ns = 0
    stop: StopReason | None = None
    turn: Turn | None = None
    with quiet_collector():
        while stop is None:
            length = limits.lengths[len(turns) % len(limits.lengths)]
            if turn_ns is not None:
                stand(turn, True)
                piece_ns = length * turn_ns
            turns.append(index)
            full = min(limits.maximum, index + length * a_turn)
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
                elapsed = elapsed_ns + end - begin
                if index >= limits.maximum:
                    stop = "calls"
                    break
                if elapsed >= shortest and index >= limits.minimum:
                    stop = "samples" if elapsed > shortest * 2 else "time"
                    break
                if elapsed >= longest:
                    stop = "time"
                    break
                if piece_ns is not None and (end - begin >= piece_ns or index >= full):
                    break
            first, over, last = witness_ns(), clock(), witness_ns()
            elapsed_ns += over - begin
            seen_ns += clocks.nearest(over - begin, first - after, last - before)
            turn = begin, over
        if turn_ns is not None:
            stand(turn, False)
    return Window(
        starts_ns=starts[:index],
        durations_ns=durations[:index],
        stop=stop,
        elapsed_ns=elapsed_ns,
        witness_ns=seen_ns,
        turns=turns if turn_ns is not None else (),
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
