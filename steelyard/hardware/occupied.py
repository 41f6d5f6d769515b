"""The right to measure on a device: locks that keep two runs of one machine apart, whoever started them and whatever
cache they use; the kernel drops them at the end.

Each CPU of the budget has a lock of its own, so that runs on other cores may go on; of an accelerator the very piece of
hardware has one besides, whatever index CUDA_VISIBLE_DEVICES or ROCR_VISIBLE_DEVICES gives it. The locks lie where
every user of the machine may write. Containers that do not share that folder do not see each other's.
"""

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from steelyard.core.backend import Budget, Device
from steelyard.core.errors import SteelyardError
from steelyard.core.owner import owner_of
from steelyard.hardware.devices import identity_of

VARIABLE = "STEELYARD_LOCKS"
_PLACES = ("/run/lock", "/dev/shm", "/tmp")  # noqa: S108 (never followed as links, and nothing read from them is believed)
_CPU = "cpu-"


@contextmanager
def occupied(device: Device, budget: Budget, wait: Callable[[str], None] | None = None) -> Iterator[float]:
    """Nobody else of this machine measures there meanwhile; gives the seconds that were waited for it.

    Raises SteelyardError that names who measures there; with `wait` it is waited for instead, which `wait` is told.
    """
    folder, begun = lock_folder(), time.monotonic()
    with ExitStack() as held:
        for name in names_of(device, budget):
            held.enter_context(_lock(folder / f"steelyard-{name}.lock", _where(name, device), wait))
        yield time.monotonic() - begun


def names_of(device: Device, budget: Budget) -> tuple[str, ...]:
    """What is locked, in an order that all runs keep: none waits for one that waits for it."""
    cpus = tuple(f"{_CPU}{cpu:04d}" for cpu in sorted(budget.cpus))
    if device.kind == "cpu":
        return cpus
    identity = identity_of(device)
    return (*cpus, f"{device.kind}-{device.index if identity is None else identity}")


def lock_folder() -> Path:
    """`$STEELYARD_LOCKS`, else the first folder that every user of the machine may write; thus the same for all."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen)
    shared = (Path(place) for place in _PLACES)
    return next((place for place in shared if _for_all(place)), Path(tempfile.gettempdir()))


def _for_all(place: Path) -> bool:
    try:
        mode = place.stat().st_mode
    except OSError:
        return False
    return mode & stat.S_IRWXO == stat.S_IRWXO and os.access(place, os.W_OK)


@contextmanager
def _lock(path: Path, where: str, wait: Callable[[str], None] | None) -> Iterator[None]:
    try:
        descriptor = _opened(path)
    except OSError as error:
        owner = f"; it belongs to {owner_of(path)}" if path.exists() else ""
        raise SteelyardError(
            f"{path}: cannot be locked ({error.strerror}{owner}), so that another run could measure there, too: make "
            f"it writable for all users, or name a folder that all of them share with {VARIABLE}"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if wait is None:
                raise SteelyardError(_refusal(path, where)) from None
            wait(f"waiting: {_holder(path, where)}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(OSError):  # on a full disk the lock holds, and its holder stays unnamed
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {time.time():.0f}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    """The file, which every user may lock and write whatever umask its maker had. Another user's is opened and not
    created: in a folder with the sticky bit the kernel may forbid that even to root."""
    flags = os.O_RDWR | os.O_NOFOLLOW
    with suppress(FileNotFoundError):
        return os.open(path, flags)
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
        os.fchmod(descriptor, 0o666)
        return descriptor
    return os.open(path, flags)


def _where(name: str, device: Device) -> str:
    return f"CPU {int(name.removeprefix(_CPU))}" if name.startswith(_CPU) else device.id


def _holder(path: Path, where: str) -> str:
    pid, _, since = path.read_text(errors="replace").strip().partition(" ")
    who = f"the process {pid}" if pid.isdecimal() else "another process"
    begun = f", since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(int(since)))}" if since.isdecimal() else ""
    return f"{who} is measuring on {where}{begun}"


def _refusal(path: Path, where: str) -> str:
    other = "take other CPUs with --cpus" if where.startswith("CPU") else "take another --device"
    return (
        f"{_holder(path, where)}, and two runs at a time would slow each other: wait until it has ended (bench run "
        f"--wait does), end it, or {other}"
    )
