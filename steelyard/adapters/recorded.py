"""Events as a profiler gives them, cut to the calls that a tracer marked: what a `Recording` is made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from steelyard.core.errors import SteelyardError
from steelyard.core.trace import Kernel, Recording

MARK = "steelyard: one call"
"""What a tracer calls its own event around each call."""

Calls = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Events in columns of one length. `kernel` are places in a table of kernels, `thread` any whole numbers; times are
    in nanoseconds on one clock."""

    kernel: ArrayLike
    thread: ArrayLike
    start_ns: ArrayLike
    duration_ns: ArrayLike


def recording(
    events: Events, kernels: Sequence[Kernel], calls: Calls, *, resolution_ns: float, remarks: tuple[str, ...] = ()
) -> Recording:
    """The events that begin within a call, in the order in which they begin, one that encloses others before them.

    Kernels without an event are left out; threads are numbered from 0 on.
    """
    begins, ends = np.array(calls, dtype=np.float64).T
    start, duration = np.asarray(events.start_ns, np.float64), np.asarray(events.duration_ns, np.float64)
    call = np.searchsorted(begins, start, side="right") - 1
    inside = np.flatnonzero((call >= 0) & (start < ends[call]))
    order = inside[np.lexsort((-duration[inside], start[inside]))]
    used, kernel = np.unique(np.asarray(events.kernel, np.int64)[order], return_inverse=True)
    _, thread = np.unique(np.asarray(events.thread, np.int64)[order], return_inverse=True)
    return Recording(
        kernels=tuple(kernels[place] for place in used),
        kernel=kernel.tolist(),
        start_ns=start[order].tolist(),
        duration_ns=duration[order].tolist(),
        thread=thread.tolist(),
        calls=tuple((float(begin), float(end)) for begin, end in calls),
        resolution_ns=resolution_ns,
        remarks=remarks,
    )


def check_calls(found: int, made: int, profiler: str) -> None:
    """Raises SteelyardError unless calls were made and the profiler's record holds each one's mark."""
    if not made:
        raise SteelyardError(f"{profiler} recorded no call: none was made between begin() and end()")
    if found != made:
        raise SteelyardError(f"{profiler} recorded {found} of {made} calls: its record is damaged, or another's")


def executed(recording: Recording) -> list[Kernel]:
    """What the last call executed, in order: the kernels that lie in no other one, wrappers aside."""
    begin, end = recording.calls[-1]
    first, last = np.searchsorted(np.asarray(recording.start_ns), (begin, end))
    found: list[Kernel] = []
    busy: dict[int, float] = {}
    for place in range(int(first), int(last)):
        kernel, start = recording.kernels[recording.kernel[place]], recording.start_ns[place]
        thread = recording.thread[place]
        if not kernel.wrapper and start >= busy.get(thread, begin):
            busy[thread] = start + recording.duration_ns[place]
            found.append(kernel)
    return found
