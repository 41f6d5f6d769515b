"""The file that ONNX Runtime's profiler writes, as a recording.

It is a JSON list of events in whole microseconds, in the order of their ends. `model_run` is a call, and
`NAME_kernel_time` of the category `Node` a node of the optimised graph; a node that holds a graph surrounds its nodes.
Events carry no number of their call: they belong to the one that they lie in.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Annotated, NamedTuple

import msgspec
import numpy as np

from steelyard.adapters.renewal import distinct
from steelyard.core.errors import SteelyardError
from steelyard.core.trace import Kernel, Recording

_CALL, _KERNEL, _BEGUN, _FULL = "model_run", "_kernel_time", "session_initialization", "profile_truncated"
_CAPACITY = 1_000_000
"""Events that a profiler takes at most. Versions that write no event `profile_truncated` do not tell what they lost."""

_NS = 1000.0
_SLACK = 1
"""Begin and duration are each rounded down, so that what lies within an event may end a microsecond after it."""


class _Arguments(msgspec.Struct, gc=False):
    op_name: str = ""
    node_index: str = ""
    dropped_event_count: str = ""


class _Event(msgspec.Struct, gc=False):
    cat: str
    name: str
    tid: int
    ts: Annotated[int, msgspec.Meta(ge=0)]
    dur: Annotated[int, msgspec.Meta(ge=0)]
    args: _Arguments


class _Columns(NamedTuple):
    """Events by the time of their begin, what surrounds others before them; times in microseconds."""

    start: list[int]
    duration: list[int]
    thread: list[int]
    kernel: list[int]


_DECODER = msgspec.json.Decoder(list[_Event])


def parse(data: bytes, skipped: int = 0) -> Recording:
    """What a profile tells of its calls, without the first `skipped`. Raises SteelyardError for a damaged file."""
    events = _decoded(data)
    dropped = _dropped(events)
    calls = _calls(events)
    if len(calls) < skipped + (dropped != 0):
        raise _damaged(f"it holds {len(calls)} calls, {skipped} were made before those to be recorded")
    found, kernels, remarks = _events_of(events, calls, skipped, full=dropped != 0)
    _check_nesting(found)
    calls = calls[skipped:]
    if dropped != 0:
        lost = "may have lost events" if dropped is None else f"lost {dropped} events"
        remarks = (f"the profiler was full and {lost}: calls after the first {len(calls)} are left out", *remarks)
    return Recording(
        kernels=kernels,
        kernel=found.kernel,
        start_ns=[at * _NS for at in found.start],
        duration_ns=[each * _NS for each in found.duration],
        thread=found.thread,
        calls=tuple((begin * _NS, end * _NS) for begin, end in calls),
        resolution_ns=_NS,
        dropped=dropped,
        remarks=remarks,
    )


def _decoded(data: bytes) -> list[_Event]:
    try:
        events = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(str(error)) from error
    if not any(event.name == _BEGUN for event in events):
        raise _damaged(f"it has no event '{_BEGUN}', which every profile of a session has")
    return events


def _dropped(events: Sequence[_Event]) -> int | None:
    """How many events were lost; None where that is not told."""
    for event in reversed(events):
        if event.name == _FULL:
            told = event.args.dropped_event_count
            if not told.isdecimal():
                raise _damaged(f"its event '{_FULL}' does not tell how many events were dropped: {told!r}")
            return int(told)
    return 0 if len(events) < _CAPACITY else None


def _calls(events: Sequence[_Event]) -> list[tuple[int, int]]:
    """Begin and end of each call in microseconds, in the order of time."""
    calls = sorted((event.ts, event.ts + event.dur) for event in events if event.name == _CALL)
    for (begin, end), (following, _) in pairwise(calls):
        if following < end:
            raise _damaged(f"a call begins at {following} us, before the one from {begin} to {end} us has ended")
    return calls


def _events_of(
    events: Sequence[_Event], calls: Sequence[tuple[int, int]], skipped: int, *, full: bool
) -> tuple[_Columns, tuple[Kernel, ...], tuple[str, ...]]:
    """What lies in the calls that are not skipped, the kernels it names, and remarks.

    Raises SteelyardError for a node in no call, but for those of a call that a `full` profiler did not see the end of.
    """
    begins, ends = [begin for begin, _ in calls], [end + _SLACK for _, end in calls]
    found: list[_Event] = []
    depths, threads_of, kernels_of = array("b"), array("q"), array("q")
    kernels: dict[tuple[str, str, str], int] = {}
    threads: dict[int, int] = {}
    others: set[str] = set()
    for number, event in enumerate(events):
        call = bisect_right(begins, event.ts) - 1
        inside = call >= 0 and event.ts <= ends[call]
        node = event.cat == "Node" and event.name.endswith(_KERNEL)
        if node and not inside and not (full and call == len(calls) - 1):
            raise _damaged(f"event {number}, '{event.name}', lies in no call: events are missing, or the clock was set")
        if not inside or call < skipped:
            continue
        if node:
            if not event.args.op_name:
                raise _damaged(f"event {number}, '{event.name}', has no op_name")
            key, depth = (event.name, event.args.op_name, event.args.node_index), 2
        elif event.cat == "Session":
            key, depth = (event.name, "", ""), 0 if event.name == _CALL else 1
        else:
            others.add(event.cat)
            continue
        found.append(event)
        depths.append(depth)
        threads_of.append(threads.setdefault(event.tid, len(threads)))
        kernels_of.append(kernels.setdefault(key, len(kernels)))
    start, duration = (np.array([getattr(each, name) for each in found], np.int64) for name in ("ts", "dur"))
    order = np.lexsort((np.asarray(depths), -duration, start))
    sorted_ = (np.asarray(column)[order].tolist() for column in (start, duration, threads_of, kernels_of))
    remarks = tuple(f"events of the category {name} are left out" for name in sorted(others))
    return _Columns(*sorted_), _named(kernels), remarks


def _named(keys: Iterable[tuple[str, str, str]]) -> tuple[Kernel, ...]:
    """Kernels from name, type of operator (none for what surrounds others) and index in the graph."""
    taken: set[str] = set()
    return tuple(
        Kernel(name=distinct(name.removesuffix(_KERNEL), f"node {index}", taken), kind=kind or name, wrapper=not kind)
        for name, kind, index in keys
    )


def _check_nesting(found: _Columns) -> None:
    """Raises SteelyardError for an event that ends after one in which it begins, on the same thread."""
    open_: dict[int, list[int]] = {}
    for start, duration, thread in zip(found.start, found.duration, found.thread, strict=True):
        ends, end = open_.setdefault(thread, []), start + duration
        while ends and ends[-1] <= start:
            ends.pop()
        if ends and end > ends[-1] + _SLACK:
            raise _damaged(f"an event from {start} to {end} us begins in another, which ends at {ends[-1]} us")
        ends.append(end)


def _damaged(what: str) -> SteelyardError:
    return SteelyardError(f"not a whole profile of ONNX Runtime: {what}")
