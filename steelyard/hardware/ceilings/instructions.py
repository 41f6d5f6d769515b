"""Measures single instructions of the CPU: their latency, their throughput, and what runs beside a multiply-add.

Times are told in cycles: the unit is what a chain of additions of integers, run just before, takes for one, which is a
cycle on the CPUs that the table is written for. So the clock, and what changes it, cancels out. A sample is the median
of bursts that are shorter than what a scheduler gives to another program, most of which nothing interrupts.
"""

import ctypes
import os
from collections.abc import Iterator
from functools import partial
from statistics import median
from typing import Any

from steelyard.core.ceilings import INSTRUCTION_WAYS, What
from steelyard.core.errors import Unsupported
from steelyard.hardware.ceilings.jobs import MeasurementOffer, RuntimeOffers, Sample, Start

_FIRST_PASSES = 64
_BURSTS = 15
_CYCLE = 0
"""The place of the instruction that all others are held against."""


def prepare(start: Start) -> RuntimeOffers:
    """Each instruction in each way that it can be measured; all on the first CPU."""
    if start.terms.device_kind != "cpu":
        raise Unsupported(f"single instructions are those of a CPU, not of {start.terms.device_kind}")
    os.sched_setaffinity(0, start.terms.cpus[:1])
    return RuntimeOffers(offers=tuple(_Instructions(start).offers()), versions={})


class _Instructions:
    """The library's table of instructions, and how long samples last."""

    def __init__(self, start: Start) -> None:
        library: Any = ctypes.CDLL(start.library)
        library.steelyard_name.restype = library.steelyard_dtype.restype = ctypes.c_char_p
        library.steelyard_count.restype = ctypes.c_int64
        library.steelyard_run.restype = ctypes.c_double
        library.steelyard_run.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64)
        self._library = library
        self._burst_s = start.terms.sample_s / _BURSTS / 2
        self._cycle_passes = self._passes(_CYCLE, 0)

    def offers(self) -> Iterator[tuple[MeasurementOffer, Sample | None]]:
        """The cycle in seconds, then everything in cycles; an instruction that the kernel forbids has a reason."""
        library = self._library
        name, dtype = library.steelyard_name(_CYCLE).decode(), library.steelyard_dtype(_CYCLE).decode()
        cycle = MeasurementOffer(what="dependent", unit="s", threads=1, instruction=name, dtype=dtype)
        yield cycle, self._cycle_s
        for which in range(library.steelyard_instructions()):
            name, dtype = library.steelyard_name(which).decode(), library.steelyard_dtype(which).decode()
            counts = [library.steelyard_count(which, way) for way in range(len(INSTRUCTION_WAYS))]
            if not any(counts):
                reason = f"the kernel does not let this process use {name}"
                yield _offer("independent", name, dtype, reason), None
            for way, what in enumerate(INSTRUCTION_WAYS):
                if counts[way]:
                    yield _offer(what, name, dtype), partial(self._cycles, which, way, self._passes(which, way))

    def _cycles(self, which: int, way: int, passes: int) -> float:
        """How many cycles one instruction takes, of a pair both."""
        bursts = [(self._burst(_CYCLE, 0, self._cycle_passes), self._burst(which, way, passes)) for _ in range(_BURSTS)]
        return median(taken / cycle for cycle, taken in bursts)

    def _cycle_s(self) -> float:
        return median(self._burst(_CYCLE, 0, self._cycle_passes) for _ in range(_BURSTS))

    def _burst(self, which: int, way: int, passes: int) -> float:
        """Seconds of one instruction."""
        taken = float(self._library.steelyard_run(which, way, passes))
        return taken / (passes * int(self._library.steelyard_count(which, way)))

    def _passes(self, which: int, way: int) -> int:
        """As many as fill a burst."""
        passes = _FIRST_PASSES
        while (taken := self._library.steelyard_run(which, way, passes)) < self._burst_s / 4:
            passes *= 4
        return max(1, round(passes * self._burst_s / float(taken)))


def _offer(what: What, instruction: str, dtype: str, reason: str = "") -> MeasurementOffer:
    return MeasurementOffer(what=what, unit="cycles", threads=1, instruction=instruction, dtype=dtype, reason=reason)
