"""The host clock of all samples, and a second way to read it that a runner does not reach.

This module is imported before the runner's: what it holds is what Python had then. A runtime (or a profiler, or
a library that freezes time for tests) may replace `time.perf_counter_ns` later, or load a library that answers in
the C library's place. So the window is timed by two more readings, taken from the kernel by a function
pointer held here, and the replaced names are looked for. What is left (a replaced C library) the supervisor sees.
"""

import ctypes
import os
import time

CLOCK = time.perf_counter_ns
"""Nanoseconds, monotonic, since some moment of the past. Every sample of every backend is a difference of two."""

ROUNDING_S = 2e-9
"""Starts and lengths are whole nanoseconds of this clock, kept as floats of seconds: so far sums of them are off."""

_HELD = {name: getattr(time, name) for name in ("perf_counter_ns", "perf_counter", "monotonic_ns", "monotonic")}
_PART, _SLACK_NS = 0.01, 2_000_000


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


_LIBC = ctypes.CDLL(None, use_errno=True)
_GETTIME = _LIBC.clock_gettime
_GETTIME.argtypes = (ctypes.c_int, ctypes.POINTER(_Timespec))
_BYREF = ctypes.byref


def witness_ns() -> int:
    """`CLOCK_MONOTONIC` asked of the C library without Python's `time`. Raises OSError where there is none."""
    stamp = _Timespec()
    if _GETTIME(time.CLOCK_MONOTONIC, _BYREF(stamp)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"clock_gettime: {os.strerror(number)}")
    return int(stamp.seconds) * 1_000_000_000 + int(stamp.nanoseconds)


def nearest(clock_ns: int, shortest: int, longest: int) -> int:
    """Of the spans that the other clock allows the one nearest to `clock_ns`.

    The other clock is read before and after each end of the span: a process that loses the CPU between two reads is
    stopped there for some milliseconds, which are then no disagreement.
    """
    return min(max(clock_ns, shortest), longest)


def replaced(*clocks: object) -> str:
    """Which clock is no longer the one this process began with, as a sentence; '' if none.

    `clocks` are other names for `CLOCK` that must still be it.
    """
    names = [f"time.{name}" for name, held in _HELD.items() if getattr(time, name) is not held]
    if any(clock is not _HELD["perf_counter_ns"] for clock in (CLOCK, *clocks)):
        names.append("the clock of the timed loop")
    return f"{' and '.join(names)} was replaced inside the launch: its times are not to be believed" if names else ""


def disagreement(clock_ns: int, witness: int) -> str:
    """What is wrong if a span of `clock_ns` on the loop's clock was one of `witness` ns on the other; '' if equal.

    They may differ by 1 % and 2 ms.
    """
    if abs(clock_ns - witness) <= _PART * witness + _SLACK_NS:
        return ""
    return (
        f"the clock of the timed loop counted {clock_ns * 1e-9:.3g} s where the kernel's counted "
        f"{witness * 1e-9:.3g} s: the times are not to be believed"
    )
