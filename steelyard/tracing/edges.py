"""The events of a recording as edges in the order of time, each closed before the one that it began in."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from steelyard.core.trace import Recording


class Edge(NamedTuple):
    """An event of a thread opens, or the innermost open one closes; `kernel` is its index in the recording."""

    thread: int
    opens: bool
    kernel: int
    at_ns: float


def edges(recording: Recording) -> Iterator[Edge]:
    """All edges, thread by thread. An event that ends after the one in which it began is cut there: files of traces
    hold nested events alone."""
    start = np.asarray(recording.start_ns, np.float64)
    end = start + np.asarray(recording.duration_ns, np.float64)
    threads = np.asarray(recording.thread)
    order = np.lexsort((-end, start, threads)).tolist()
    starts, ends = start.tolist(), end.tolist()
    kernels, thread_of = np.asarray(recording.kernel).tolist(), threads.tolist()
    open_: list[tuple[int, float]] = []
    thread = 0
    for index in order:
        if thread_of[index] != thread:
            while open_:
                kernel, until = open_.pop()
                yield Edge(thread, False, kernel, until)
            thread = thread_of[index]
        while open_ and open_[-1][1] <= starts[index]:
            kernel, until = open_.pop()
            yield Edge(thread, False, kernel, until)
        yield Edge(thread, True, kernels[index], starts[index])
        open_.append((kernels[index], min(ends[index], open_[-1][1]) if open_ else ends[index]))
    while open_:
        kernel, until = open_.pop()
        yield Edge(thread, False, kernel, until)
