"""Measures with the native loops: bandwidth by working set, latency of loads and of arithmetic, multiply-adds."""

import ctypes
from collections.abc import Sequence
from typing import Any

from steelyard.core.ceilings import BANDWIDTHS, What
from steelyard.core.errors import SteelyardError, Unsupported
from steelyard.hardware.ceilings.jobs import MeasurementOffer, MeasurementTerms, RuntimeOffers, Sample, Start
from steelyard.hardware.ceilings.levels import Level, levels, place, sizes

_KERNELS = {
    ("read", ""): 0,
    ("copy", ""): 1,
    ("triad", ""): 2,
    ("chase", ""): 3,
    ("fma", "float32"): 4,
    ("fma", "float64"): 5,
    ("dependent", "float32"): 6,
    ("dependent", "float64"): 7,
    ("independent", "float32"): 4,
    ("independent", "float64"): 5,
}
_FAILURES = (
    "",
    "no memory is left for the working set",
    "a thread could not be started",
    "a thread may not run on its CPU",
    "the result was wrong",
)
_ARRAYS = {"read": 1, "copy": 2, "triad": 3}
_BYTES = {"float32": 4, "float64": 8}
_LINE_BYTES = 64
_FIRST_BYTES = 1 << 16
_FIRST_STEPS = 1 << 12


def prepare(start: Start) -> RuntimeOffers:
    """Every loop at every size; fewer threads than all for the scaling."""
    if start.terms.device_kind != "cpu":
        raise Unsupported(f"the native loops run on the CPU, not on {start.terms.device_kind}")
    loops = _Loops(start)
    return RuntimeOffers(offers=tuple(loops.offers()), versions={})


class _Loops:
    """The library, under the terms."""

    def __init__(self, start: Start) -> None:
        self._terms: MeasurementTerms = start.terms
        self._library: Any = ctypes.CDLL(start.library)
        self._library.steelyard_sample.argtypes = (
            *(ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_int),
            *(ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_double)),
        )
        self._vector_bytes = int(self._library.steelyard_vector_bytes())
        self._chains = int(self._library.steelyard_chains())
        self._block_bytes = int(self._library.steelyard_block_bytes())
        self._levels = levels(self._terms.cpus)

    def offers(self) -> list[tuple[MeasurementOffer, Sample]]:
        """All of them. Streams run on all threads, loads and operations in chains on one."""
        all_threads = self._terms.threads
        found = [self._memory(what, size, all_threads) for size in self._sizes("share_bytes") for what in BANDWIDTHS]
        found += [self._memory("chase", size, 1) for size in self._sizes("alone_bytes")]
        for dtype in _BYTES:
            found += [self._arithmetic(what, dtype, 1) for what in ("dependent", "independent")]
            found += [self._arithmetic("fma", dtype, threads) for threads in _steps(all_threads)]
        largest = self._sizes("alone_bytes")[-1]
        found += [self._memory("triad", largest, threads) for threads in _steps(all_threads)[:-1]]
        return found

    def _sizes(self, capacity: str) -> tuple[int, ...]:
        return sizes([getattr(level, capacity) for level in self._levels], self._terms.most_bytes)

    def _memory(self, what: What, size: int, threads: int) -> tuple[MeasurementOffer, Sample]:
        capacity = "share_bytes" if threads == self._terms.threads and what != "chase" else "alone_bytes"
        level = place(size, [getattr(each, capacity) for each in self._levels], _names(self._levels))
        unit = "s" if what == "chase" else "B/s"
        offer = MeasurementOffer(what=what, unit=unit, threads=threads, size=size, level=level)  # type: ignore[arg-type]
        used = float(_LINE_BYTES) if what == "chase" else self._used(what, size)
        passes = self._passes(what, "", size, threads)

        def sample() -> float:
            taken = self._run(what, "", size, passes, threads)
            return taken / passes if what == "chase" else threads * used * passes / taken

        return offer, sample

    def _arithmetic(self, what: What, dtype: str, threads: int) -> tuple[MeasurementOffer, Sample]:
        lanes = self._vector_bytes // _BYTES[dtype]
        chains = 1 if what == "dependent" else self._chains
        unit = "1/s" if what == "fma" else "s"
        offer = MeasurementOffer(what=what, unit=unit, threads=threads, dtype=dtype)  # type: ignore[arg-type]
        passes = self._passes(what, dtype, 0, threads)

        def sample() -> float:
            taken = self._run(what, dtype, 0, passes, threads)
            return 2.0 * lanes * chains * passes * threads / taken if what == "fma" else taken / (passes * chains)

        return offer, sample

    def _used(self, what: str, size: int) -> float:
        """The bytes that one pass of one thread moves: whole blocks of each of its arrays."""
        arrays = _ARRAYS[what]
        return float(arrays * (size // arrays // self._block_bytes * self._block_bytes))

    def _passes(self, what: What, dtype: str, size: int, threads: int) -> int:
        """As many as fill a sample, found by growing from about a microsecond's worth."""
        passes = max(1, _FIRST_BYTES // size) if what in _ARRAYS else _FIRST_STEPS
        while (taken := self._run(what, dtype, size, passes, threads)) < self._terms.sample_s / 4:
            passes *= 2 if taken > self._terms.sample_s / 64 else 16
        return max(1, round(passes * self._terms.sample_s / taken))

    def _run(self, what: What, dtype: str, size: int, passes: int, threads: int) -> float:
        cpus = (ctypes.c_int * threads)(*self._terms.cpus[:threads])
        taken = ctypes.c_double()
        kernel = _KERNELS[what, dtype]
        code = self._library.steelyard_sample(kernel, size, passes, threads, cpus, ctypes.byref(taken))
        if code != 0:
            raise SteelyardError(f"{what} on {threads} threads: {_FAILURES[code]}")
        return float(taken.value)


def _names(found: Sequence[Level]) -> list[str]:
    return [level.name for level in found]


def _steps(threads: int) -> list[int]:
    """1, 2, 4, ... and all threads."""
    steps = [1]
    while 2 * steps[-1] < threads:
        steps.append(2 * steps[-1])
    return steps if threads == 1 else [*steps, threads]
