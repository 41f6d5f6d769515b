"""The levels of memory behind a set of CPUs, and the working sets that are tried."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steelyard.core.ceilings import MEMORY
from steelyard.core.errors import UsageError
from steelyard.guard import proc
from steelyard.hardware.processors import parse_cpus

SMALLEST_BYTES = 4 << 10
BEYOND = 4
"""A working set of so many times the last cache is taken to lie in memory: a few percent of it may still be cached."""
WITHOUT_CACHES_BYTES = 256 << 20
"""The largest working set where the system tells of no cache."""
_FULL = 0.75
"""A working set fills a cache to three quarters at most: code, stack and page tables need some of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of cache. `share_bytes` is what one of the CPUs has of it while all of them work, `alone_bytes` what
    it has while the others rest, `total_bytes` what all of them have together."""

    name: str
    share_bytes: int
    alone_bytes: int
    total_bytes: int


def levels(cpus: Sequence[int], root: Path = proc.ROOT) -> tuple[Level, ...]:
    """The caches for data behind these CPUs, the smallest first; empty where the system does not describe them."""
    found: dict[str, Level] = {}
    base = root / f"sys/devices/system/cpu/cpu{cpus[0]}/cache"
    for index in sorted(base.glob("index[0-9]*")):
        size, number = proc.text(index / "size") or "", proc.number(index / "level")
        if number is None or proc.text(index / "type") == "Instruction" or not size.removesuffix("K").isdecimal():
            continue
        sharers = max(1, len(set(_listed(proc.text(index / "shared_cpu_list"), cpus[0])) & set(cpus)))
        alone = int(size.removesuffix("K")) * 1024
        name = f"L{int(number)}"
        found[name] = Level(
            name=name, share_bytes=alone // sharers, alone_bytes=alone, total_bytes=alone * len(cpus) // sharers
        )
    return tuple(sorted(found.values(), key=lambda level: level.share_bytes))


def sizes(capacities: Sequence[int], most_bytes: int) -> tuple[int, ...]:
    """Working sets of one thread, each twice the one before, up to what lies in memory; at most `most_bytes`.

    Raises UsageError where not even the smallest is allowed.
    """
    if most_bytes < SMALLEST_BYTES:
        raise UsageError(f"a working set of {most_bytes} bytes is too small: {SMALLEST_BYTES} is the least")
    wanted = BEYOND * capacities[-1] if capacities else WITHOUT_CACHES_BYTES
    found = [SMALLEST_BYTES]
    while found[-1] < wanted and 2 * found[-1] <= most_bytes:
        found.append(2 * found[-1])
    return tuple(found)


def place(size: int, capacities: Sequence[int], names: Sequence[str]) -> str:
    """The level in which a working set lies; empty where it may lie in two."""
    if not capacities:
        return MEMORY if size >= WITHOUT_CACHES_BYTES else ""
    before = 0
    for name, capacity in zip(names, capacities, strict=True):
        if before < size <= _FULL * capacity:
            return name
        before = capacity
    return MEMORY if size >= BEYOND * capacities[-1] else ""


def _listed(text: str | None, own: int) -> tuple[int, ...]:
    try:
        return parse_cpus(text) if text else (own,)
    except UsageError:  # the kernel wrote something else
        return (own,)
