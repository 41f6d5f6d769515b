"""Children whose memory is known: each does one thing inside a phase and prints what the product read of it, as JSON.

Run as `python -m tests.fakes.memory_child WHAT MIB FOLDER`; before it stand one
with twice as much, and the same phase with nothing in it.
"""

import ctypes
import json
import mmap
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from steelyard.measure.process_memory import HostMemory, tree

MEBI = 1 << 20
_PAGE = mmap.PAGESIZE


def touch(count: int, folder: Path) -> None:
    """Exactly so many bytes, anonymous, written once and given back: a transient that no sample at the ends sees."""
    held = mmap.mmap(-1, count)
    for at in range(0, count, _PAGE):
        held[at] = 1
    held.close()


def keep(count: int, folder: Path) -> None:
    """The same, held until the phase is over."""
    held = mmap.mmap(-1, count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, count, _PAGE):
        held[at] = 1
    _HELD.append(held)


def map_file(count: int, folder: Path) -> None:
    """A file of so many bytes, mapped and read to its end."""
    path = folder / "file"
    with path.open("wb") as stream:
        for _ in range(count // MEBI):
            stream.write(os.urandom(MEBI))
    with path.open("rb") as stream:
        held = mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)
    sum(held[at] for at in range(0, count, _PAGE))
    _HELD.append(held)


def hold_gil(count: int, folder: Path) -> None:
    """Memory touched and given back by native code that holds the interpreter's lock all the while.

    `ctypes.PyDLL` does not release the lock, so that a thread which samples in Python runs before and after only.
    """
    libc = ctypes.PyDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    sampled: list[int] = []
    going = threading.Event()

    def sample() -> None:
        while not going.is_set():
            sampled.append(int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE)
            time.sleep(0.0005)

    sys.setswitchinterval(60.0)  # so that Python itself does not hand the lock over between two native calls
    thread = threading.Thread(target=sample)
    thread.start()
    time.sleep(0.01)
    place = libc.mmap(None, count, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    libc.memset(ctypes.c_void_p(place), 1, ctypes.c_size_t(count))
    libc.munmap(place, count)
    going.set()
    thread.join()
    _FACTS["sampled_bytes"] = max(sampled) - sampled[0]


def fork(count: int, folder: Path) -> None:
    """The process holds so many bytes; a forked child shares them and touches half as many of its own, and lives on."""
    _FACTS["alone_bytes"] = int(tree(()).value or 0)
    keep(count, folder)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        keep(count // 2, folder)
        os.write(write, b"1")
        time.sleep(60)
        os._exit(0)
    os.read(read, 1)
    _FACTS["child"] = child


def nothing(count: int, folder: Path) -> None:
    """The phase by itself."""


_HELD: list[mmap.mmap] = []
_FACTS: dict[str, int] = {}
_WHAT: Mapping[str, Callable[[int, Path], None]] = {
    entry.__name__: entry for entry in (touch, keep, map_file, hold_gil, fork, nothing)
}


def _phase(what: str, count: int, folder: Path) -> dict[str, float | None]:
    memory = HostMemory()
    _WHAT[what](count, folder)
    return {name: reading.value for name, reading in memory.readings().items()}


if __name__ == "__main__":
    wanted, size, where = sys.argv[1], int(sys.argv[2]) * MEBI, Path(sys.argv[3])
    _phase("touch", 2 * size, where)  # a larger peak before, which is not that of a later phase
    _phase("nothing", size, where)  # once for the pages that reading itself touches
    before = _phase("nothing", size, where)
    during = _phase(wanted, size, where)
    if "child" in _FACTS:
        os.kill(_FACTS["child"], 9)
    print(json.dumps({"before": before, "during": during, "facts": _FACTS}))
