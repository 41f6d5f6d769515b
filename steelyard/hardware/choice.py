"""What the user's `--device`, `--threads` and `--cpus` mean on this host."""

import os

from steelyard.core.backend import Device
from steelyard.core.errors import UsageError, unknown_name
from steelyard.hardware.devices import devices
from steelyard.hardware.processors import default_cpus

_BEST_FIRST = ("cuda", "rocm", "tpu", "xpu", "mps", "npu", "cpu")


def pick_device(wanted: str | None) -> Device:
    """The device of a `kind` or `kind:index`; the best present when None. Raises UsageError naming those present."""
    present = devices()
    if wanted is None:
        return min(present, key=lambda device: (_BEST_FIRST.index(device.kind), device.index))
    for device in present:
        if wanted in (device.id, f"{device.kind}:{device.index}") or (wanted == device.kind and device.index == 0):
            return device
    raise unknown_name("device", wanted, [device.id for device in present])


def choose_cpus(threads: int | None, text: str | None) -> tuple[int, ...]:
    """The CPUs to measure on: those of `text`, else the first `threads` allowed ones, else all the quota covers.

    Raises UsageError if `text` names a CPU this process may not use, or fewer CPUs than threads.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if text is None:
        if threads is None:
            return default_cpus()
        if threads > len(allowed):
            raise UsageError(f"--threads {threads}: this process may use {len(allowed)} CPUs")
        return tuple(allowed[:threads])
    chosen = _parse(text)
    forbidden = sorted(chosen - set(allowed))
    if forbidden:
        raise UsageError(f"--cpus {text}: this process may not use CPU {', '.join(map(str, forbidden))}")
    if threads is not None and threads > len(chosen):
        raise UsageError(f"--cpus {text} names {len(chosen)} CPUs, fewer than --threads {threads}")
    return tuple(sorted(chosen))


def _parse(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        try:
            first, last = int(low), int(high if dash else low)
        except ValueError:
            raise UsageError(f"--cpus {text}: '{part}' is not a CPU or a range; write e.g. 0-3,8") from None
        if last < first:
            raise UsageError(f"--cpus {text}: the range '{part}' runs backwards")
        found.update(range(first, last + 1))
    return found
