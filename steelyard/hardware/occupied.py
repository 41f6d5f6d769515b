"""The right to measure on a device: a lock that keeps two runs of one cache apart, dropped by the kernel at the end.

On a CPU each CPU of the budget has a lock of its own, so that runs on other cores may go on; of an accelerator the very
piece of hardware has one, whatever index CUDA_VISIBLE_DEVICES or ROCR_VISIBLE_DEVICES gives it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from steelyard.core.backend import Budget, Device
from steelyard.core.errors import SteelyardError
from steelyard.hardware.devices import identity_of
from steelyard.lowering.cache import cache_root

_FOLDER = "devices"


@contextmanager
def occupied(device: Device, budget: Budget) -> Iterator[None]:
    """Nobody else of this cache measures there meanwhile. Raises SteelyardError that names who does; never waits."""
    folder = cache_root() / _FOLDER
    with ExitStack() as held:
        for name in names_of(device, budget):
            held.enter_context(_lock(folder / f"{name}.lock", device))
        yield


def names_of(device: Device, budget: Budget) -> tuple[str, ...]:
    """What is locked, in an order that all runs keep."""
    if device.kind == "cpu":
        return tuple(f"cpu-{cpu:04d}" for cpu in sorted(budget.cpus))
    identity = identity_of(device)
    return (f"{device.kind}-{device.index if identity is None else identity}",)


@contextmanager
def _lock(path: Path, device: Device) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise SteelyardError(
            f"{path}: cannot be locked ({error.strerror}), so that another run could measure there, too: make the "
            "cache writable, or name another with STEELYARD_CACHE"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SteelyardError(_refusal(path, device)) from None
        with suppress(OSError):  # on a full disk the lock holds, and its holder stays unnamed
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _refusal(path: Path, device: Device) -> str:
    holder = path.read_text().strip()
    who = f"the process {holder}" if holder.isdecimal() else "another process"
    where = f"CPU {int(path.stem.removeprefix('cpu-'))}" if device.kind == "cpu" else device.id
    other = "take other CPUs with --cpus" if device.kind == "cpu" else "take another --device"
    return (
        f"{who} is measuring on {where}, and two runs at a time would slow each other: wait until it has ended, end "
        f"it, or {other}"
    )
