"""What a runtime's profiler recorded of calls, and what it comes to in numbers per call."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One place in a compiled program at which the runtime executes something.

    `name` is the runtime's own, unique in the program; `kind` its type of operator in the runtime's words (`MatMul`,
    `aten::addmm`, `fusion`). `sources` are the operators of the source program that ended in it (`aten.addmm`), as far
    as the runtime tells. `wrapper` marks what only surrounds other events, such as a call: its own time is overhead.
    """

    name: str
    kind: str
    sources: tuple[str, ...] = ()
    wrapper: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The events of some calls, in columns of one length, and what is to be known of them.

    `kernel` are indices into `kernels`, `thread` small whole numbers. `start_ns` and `duration_ns` are on the
    profiler's clock, whose smallest step is `resolution_ns`; `calls` are begin and end of each call on that clock, in
    order. `dropped` is how many events the profiler lost; None where it does not tell. `averaged`: the runtime tells
    an average over all of its calls per kernel instead of events; they are laid out one after the other as one call.
    """

    kernels: tuple[Kernel, ...]
    kernel: Sequence[int]
    start_ns: Sequence[float]
    duration_ns: Sequence[float]
    thread: Sequence[int]
    calls: tuple[tuple[float, float], ...]
    resolution_ns: float
    dropped: int | None = None
    averaged: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTime:
    """A kernel's own time in a call, in seconds, and how often it ran in one: means over calls."""

    kernel: Kernel
    seconds: float
    times: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSummary:
    """A recording in numbers, means over the `calls` in the middle half by duration, so that they add up: the kernels,
    wrappers among them, and what nothing was recorded of are `call_s`, seconds of such a call with the profiler on.

    `outside` counts events that began in no call, `overlaps` those that are not nested where they should be.
    """

    call_s: float
    calls: int
    kernels: tuple[KernelTime, ...]
    outside: int
    overlaps: int
    resolution_s: float
    averaged: bool
    dropped: int | None
    remarks: tuple[str, ...]
