"""Counters of CPU and kernel: over all threads, absent with the reason where the system has or allows none."""

import errno
import mmap
import os
import struct
import threading
import time
from pathlib import Path

import pytest

from steelyard.core.metrics import Reading
from steelyard.engine.traced_case import _counted
from steelyard.measure.cpu_counters import EVENTS, CpuCounters, CpuEvent, cpu_vendor, of_threads, open_event

PAGES = 512
SOFTWARE = tuple(event for event in EVENTS if event.name in ("cpu_time", "page_faults", "context_switches"))
INSTRUCTIONS = next(event for event in EVENTS if event.name == "instructions")
WIDTH = next(event for event in EVENTS if event.name == "fp_512")


def touch() -> None:
    """Write to pages that were never touched: a fault each."""
    with mmap.mmap(-1, PAGES * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            memory.madvise(mmap.MADV_NOHUGEPAGE)
        for page in range(PAGES):
            memory[page * mmap.PAGESIZE] = 1


def counted(work, calls: int = 1, events: tuple[CpuEvent, ...] = SOFTWARE, **how) -> dict[str, Reading]:
    counters = CpuCounters(events, **how)
    with counters:
        work()
    found = dict(counters.per_call(calls))
    counters.close()
    return found


def value(reading: Reading) -> float:
    assert reading.value is not None, reading.reason
    return reading.value


@pytest.fixture(autouse=True)
def _there() -> None:
    reading = counted(lambda: None, events=(SOFTWARE[1],))["page_faults"]
    if reading.value is None:
        pytest.skip(f"no events of the kernel here: {reading.reason}")


def test_what_happens_inside_is_counted_and_nothing_else() -> None:
    touch()
    assert value(counted(touch)["page_faults"]) >= PAGES
    assert value(counted(lambda: None)["page_faults"]) < PAGES
    assert value(counted(touch, calls=4)["page_faults"]) == pytest.approx(PAGES / 4, rel=0.5)


def test_threads_that_are_older_and_threads_that_are_younger_count() -> None:
    go, done = threading.Event(), threading.Event()

    def older() -> None:
        go.wait()
        touch()
        done.set()

    waiting = threading.Thread(target=older)
    waiting.start()

    def work() -> None:
        younger = threading.Thread(target=touch)
        younger.start()
        younger.join()
        go.set()
        done.wait()

    assert value(counted(work)["page_faults"]) >= 2 * PAGES
    waiting.join()


def test_waiting_takes_a_switch_and_no_time_of_the_cpu() -> None:
    found = counted(lambda: [time.sleep(0.002) for _ in range(5)])
    assert value(found["context_switches"]) >= 5
    assert value(found["cpu_time"]) < 0.01

    def busy() -> None:
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass

    assert value(counted(busy)["cpu_time"]) == pytest.approx(0.05, rel=0.5)


def test_windows_add_up() -> None:
    counters = CpuCounters(SOFTWARE)
    for _ in range(3):
        with counters:
            touch()
        touch()
    assert value(counters.per_call(3)["page_faults"]) == pytest.approx(PAGES, rel=0.2)
    counters.close()


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([(8, 100, 100), (2, 50, 50)], (10, 1.0)),
        ([(8, 100, 50), (0, 0, 0)], (16, 0.5)),
        ([(10**9, 10**9, 5 * 10**8), (0, 20_000, 0)], (2e9, 0.5)),
        ([(8, 99, 99), (0, 1, 0)], (8, 0.99)),
        ([(8, 80, 80), (0, 20, 0)], "taken: threads with 20% of the time were never counted"),
        ([(0, 80, 0), (0, 0, 0)], "taken: others use all counters of the CPU"),
        ([(0, 0, 0)], "idle: no thread ran while it counted"),
        ([], "idle: no thread ran while it counted"),
    ],
)
def test_a_thread_that_got_no_turn_of_a_counter_matters_only_if_it_ran_for_long(
    told: list[tuple[int, ...]], found: tuple[float, float] | str
) -> None:
    assert of_threads(told) == (found if isinstance(found, str) else pytest.approx(found, rel=1e-4))


def test_calls_that_fail_while_they_are_counted_leave_no_file_open() -> None:
    class Failing:
        def run(self) -> None:
            raise ValueError("not today")

    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ValueError, match="not today"):
        _counted(Failing(), 1)  # type: ignore[arg-type]
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_the_cpu_counts_or_why_it_does_not() -> None:
    reading = counted(lambda: sum(range(100_000)), events=(INSTRUCTIONS,))["instructions"]
    if reading.value is None:
        assert reading.reason.partition(":")[0] in ("no_event", "denied", "no_system_call", "refused")
    else:
        assert reading.value > 100_000


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENOENT, "virtual machine, offers no such counter"),
        (errno.EACCES, "kernel.perf_event_paranoid"),
        (errno.EPERM, "CAP_PERFMON"),
        (errno.ENOSYS, "has no perf_event_open"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EBUSY, "refused: "),
    ],
)
def test_a_refusal_is_a_reason_and_leaves_no_file_open(code: int, reason: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    first = iter([True])

    def refuse(attributes: bytes, thread: int) -> int:
        return open_event(attributes, thread) if next(first, False) else -code

    idle = threading.Event()
    thread = threading.Thread(target=idle.wait)
    thread.start()
    reading = counted(lambda: None, events=(SOFTWARE[1],), open_=refuse)["page_faults"]
    idle.set()
    thread.join()
    assert reading.value is None
    assert reason in reading.reason
    assert len(os.listdir("/proc/self/fd")) == before


def test_where_the_kernel_is_closed_user_mode_alone_is_counted_and_said() -> None:
    """The counter that the test opens instead is one of the kernel's own, since not every machine has others."""

    def user_alone(attributes: bytes, thread: int) -> int:
        flags = struct.unpack_from("=Q", attributes, 40)[0]
        if not flags & 1 << 5:
            return -errno.EACCES
        faults = bytearray(attributes)
        struct.pack_into("=I", faults, 0, SOFTWARE[1].type)
        struct.pack_into("=Q", faults, 8, SOFTWARE[1].config)
        return open_event(bytes(faults), thread)

    reading = counted(touch, events=(INSTRUCTIONS,), open_=user_alone)["instructions"]
    assert value(reading) >= PAGES
    assert "user mode" in reading.method
    assert "kernel" not in reading.method


def test_widths_are_known_of_the_cpus_whose_events_count_them(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t: avx512f\n")
    assert cpu_vendor(info) == "AuthenticAMD"
    assert cpu_vendor(tmp_path / "none") == ""
    reading = counted(lambda: None, events=(WIDTH,))["fp_512"]
    if cpu_vendor() != "GenuineIntel":
        assert "no such event is known" in reading.reason
