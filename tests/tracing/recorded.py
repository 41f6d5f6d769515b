"""Recordings made by hand."""

from collections.abc import Sequence

from steelyard.core.trace import Kernel, Recording


def recording(
    events: Sequence[tuple[str, float, float] | tuple[str, float, float, int]],
    calls: Sequence[tuple[float, float]] = ((0, 100),),
    kernels: Sequence[Kernel] = (),
    *,
    resolution_ns: float = 1.0,
    dropped: int | None = 0,
) -> Recording:
    """Of events (kernel, begin, end[, thread]) in nanoseconds; kernels that are not given have their name as kind."""
    known = {kernel.name: kernel for kernel in kernels}
    names = list(dict.fromkeys([*known, *(event[0] for event in events)]))
    return Recording(
        kernels=tuple(known.get(name, Kernel(name=name, kind=name)) for name in names),
        kernel=[names.index(event[0]) for event in events],
        start_ns=[event[1] for event in events],
        duration_ns=[event[2] - event[1] for event in events],
        thread=[event[3] if len(event) > 3 else 0 for event in events],
        calls=tuple(calls),
        resolution_ns=resolution_ns,
        dropped=dropped,
    )
