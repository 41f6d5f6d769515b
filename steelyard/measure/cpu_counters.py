"""Counters of the CPU and the kernel over all threads of this process, by `perf_event_open` (Linux).

Events, numbers and the layout of the attributes are those of `linux/perf_event.h` and perf_event_open(2). Every thread
that there is gets an event of its own, which those that it starts later inherit: the pools of runtimes are older than
the window. Where more events are asked for than the CPU counts at once, the kernel takes turns, and counts are scaled.
"""

import ctypes
import errno
import fcntl
import os
import platform
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from steelyard.core.metrics import Reading, absent

_SYSCALL = {"x86_64": 298, "aarch64": 241}
_HARDWARE, _SOFTWARE, _CACHE, _RAW = 0, 1, 3, 4
_ENABLE, _DISABLE = 0x2400, 0x2401
_DISABLED, _INHERIT, _NO_KERNEL, _NO_HYPERVISOR = 1 << 0, 1 << 1, 1 << 5, 1 << 6
_TIMES = 0b11  # how long it was enabled, and how long it really counted
_ATTRIBUTES = struct.Struct("=IIQQQQQIIQ")  # PERF_ATTR_SIZE_VER0
_FP_ARITH = 0xC7
_UNSEEN = 0.01
_WHOLE = 0.9995
"""A share of the time that is printed as all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuEvent:
    """One event: its type and number for the kernel; `unit` is that of a count times `factor`. `vendor` is that of
    the CPUs that know it, empty for all."""

    name: str
    type: int
    config: int
    unit: str = "1"
    factor: float = 1.0
    vendor: str = ""


EVENTS = (
    CpuEvent(name="instructions", type=_HARDWARE, config=1),
    CpuEvent(name="cycles", type=_HARDWARE, config=0),
    CpuEvent(name="branch_misses", type=_HARDWARE, config=5),
    CpuEvent(name="cache_misses", type=_HARDWARE, config=3),
    CpuEvent(name="l1d_load_misses", type=_CACHE, config=0 | 1 << 16),
    CpuEvent(name="dtlb_load_misses", type=_CACHE, config=3 | 1 << 16),
    # FP_ARITH_INST_RETIRED by width, single and double precision together
    CpuEvent(name="fp_scalar", type=_RAW, config=0x03 << 8 | _FP_ARITH, vendor="GenuineIntel"),
    CpuEvent(name="fp_128", type=_RAW, config=0x0C << 8 | _FP_ARITH, vendor="GenuineIntel"),
    CpuEvent(name="fp_256", type=_RAW, config=0x30 << 8 | _FP_ARITH, vendor="GenuineIntel"),
    CpuEvent(name="fp_512", type=_RAW, config=0xC0 << 8 | _FP_ARITH, vendor="GenuineIntel"),
    CpuEvent(name="cpu_time", type=_SOFTWARE, config=1, unit="s", factor=1e-9),
    CpuEvent(name="page_faults", type=_SOFTWARE, config=2),
    CpuEvent(name="context_switches", type=_SOFTWARE, config=3),
    CpuEvent(name="migrations", type=_SOFTWARE, config=4),
)
"""What is counted. Of widths only Intel's CPUs have events that count instructions; AMD's count operations."""

Open = Callable[[bytes, int], int]
"""Opens an event of a thread: its file descriptor, or the negative number of the error."""


def open_event(attributes: bytes, thread: int) -> int:
    """By the system call, on any CPU that the thread runs on."""
    number = _SYSCALL.get(platform.machine())
    if number is None or platform.system() != "Linux":
        return -errno.ENOSYS
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    descriptor = call(ctypes.c_long(number), attributes, ctypes.c_int(thread), -1, -1, ctypes.c_ulong(0))
    return -ctypes.get_errno() if descriptor < 0 else int(descriptor)


class CpuCounters:
    """The events of all threads that there are now. They count inside `with`, and add up over several."""

    def __init__(self, events: tuple[CpuEvent, ...] = EVENTS, open_: Open = open_event) -> None:
        self._open: dict[CpuEvent, list[int]] = {}
        self._absent: dict[CpuEvent, str] = {}
        self._how: dict[CpuEvent, str] = {}
        tasks = Path("/proc/self/task")
        threads = sorted(int(each.name) for each in tasks.iterdir()) if tasks.is_dir() else [0]
        vendor = cpu_vendor()
        for event in events:
            if event.vendor and event.vendor != vendor:
                self._absent[event] = f"no such event is known of a CPU of {vendor or 'an unknown maker'}"
            else:
                self._add(event, threads, open_)

    def _add(self, event: CpuEvent, threads: list[int], open_: Open) -> None:
        """In user mode alone where the kernel is not to be looked into, and not at all where a thread is left out."""
        opened: list[int] = []
        failed = 0
        for hidden in (0, _NO_KERNEL | _NO_HYPERVISOR) if event.type != _SOFTWARE else (0,):
            self._how[event] = "user mode" if hidden else "user and kernel mode"
            opened, failed = [], 0
            for thread in threads:
                descriptor = open_(_attributes(event, _DISABLED | _INHERIT | hidden), thread)
                if descriptor >= 0:
                    opened.append(descriptor)
                elif descriptor != -errno.ESRCH:  # it has ended meanwhile
                    failed = -descriptor
                    break
            if not failed:
                self._open[event] = opened
                return
            for descriptor in opened:
                os.close(descriptor)
            if failed not in (errno.EACCES, errno.EPERM):
                break
        self._absent[event] = _reason(failed)

    def __enter__(self) -> "CpuCounters":
        self._switch(_ENABLE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._switch(_DISABLE)

    def _switch(self, command: int) -> None:
        for descriptors in self._open.values():
            for descriptor in descriptors:
                fcntl.ioctl(descriptor, command, 0)

    def per_call(self, calls: int) -> Mapping[str, Reading]:
        """What was counted over so many calls, for one of them; absent, with the reason, what could not be."""
        found = {event.name: absent(event.unit, reason) for event, reason in self._absent.items()}
        for event, descriptors in self._open.items():
            found[event.name] = self._read(event, descriptors, calls)
        return found

    def _read(self, event: CpuEvent, descriptors: list[int], calls: int) -> Reading:
        found = of_threads(struct.unpack("=QQQ", os.read(descriptor, 24)) for descriptor in descriptors)
        if isinstance(found, str):
            return absent(event.unit, found)
        total, share = found
        scaled = f"; scaled up from {share:.1%} of the time" if share < _WHOLE else ""
        method = f"perf_event_open, {self._how[event]}{scaled}"
        return Reading(value=total * event.factor / calls, unit=event.unit, method=method)

    def close(self) -> None:
        """Give the events back."""
        for descriptors in self._open.values():
            for descriptor in descriptors:
                os.close(descriptor)
        self._open = {}


def of_threads(told: Iterable[tuple[int, ...]]) -> tuple[float, float] | str:
    """The count of all threads, and the share of their time in which it was taken; or the reason why there is none.

    Each thread tells its count, the nanoseconds it ran for and those of them that were counted, from which the count is
    scaled up. Where the kernel takes turns, a thread that ran briefly may get none: such are left out while they make
    up a hundredth of the time at most.
    """
    ran = [(count, enabled, running) for count, enabled, running in told if enabled]
    seen = [each for each in ran if each[2]]
    whole = sum(enabled for _, enabled, _ in ran)
    if not ran:
        return "idle: no thread ran while it counted"
    if not seen:
        return "taken: others use all counters of the CPU"
    unseen = whole - sum(enabled for _, enabled, _ in seen)
    if unseen > _UNSEEN * whole:
        return f"taken: threads with {unseen / whole:.0%} of the time were never counted"
    total = sum(count * enabled / running for count, enabled, running in seen)
    return total, sum(running for _, _, running in seen) / whole


def cpu_vendor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """`GenuineIntel`, `AuthenticAMD`; empty where the system does not say."""
    if not cpuinfo.is_file():
        return ""
    lines = (line.partition(":") for line in cpuinfo.read_text(errors="replace").splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == "vendor_id"), "")


def _attributes(event: CpuEvent, flags: int) -> bytes:
    return _ATTRIBUTES.pack(event.type, _ATTRIBUTES.size, event.config, 0, 0, _TIMES, flags, 0, 0, 0)


def _reason(code: int) -> str:
    if code in (errno.ENOENT, errno.EOPNOTSUPP):
        return "no_event: the CPU, or the virtual machine, offers no such counter"
    if code in (errno.EACCES, errno.EPERM):
        return "denied: set kernel.perf_event_paranoid to 1 or less; in a container CAP_PERFMON is needed, too"
    if code == errno.ENOSYS:
        return "no_system_call: this system has no perf_event_open, or its number is not known here"
    if code == errno.EMFILE:
        return "too_many: each thread takes a file for each event: raise the limit of open files (ulimit -n)"
    return f"refused: {os.strerror(code)}"
