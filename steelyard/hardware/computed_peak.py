"""The peak of a CPU that no profile describes: cores x clock x operations per cycle of its instruction set.

Operations per cycle and core: a vector of V bits has V / bits lanes, a fused multiply-add counts twice, and a core has
as many such units as is assumed here. AMX bf16: one TDPBF16PS multiplies tiles of 16 x 32 and 32 x 16 (16,384
operations); that the tile unit begins one every 16 cycles is assumed.
"""

from collections.abc import Collection
from pathlib import Path

from steelyard.core.profile import ComputedPeak
from steelyard.guard import proc
from steelyard.hardware.clock import highest_hz
from steelyard.hardware.cpu import cpu_facts
from steelyard.hardware.fact_values import value_of
from steelyard.hardware.processors import cores_of

_FMA = 2
_UNITS = 2
_BITS = {"float64": 64, "float32": 32}
_AMX_BF16_PER_CYCLE = 2 * 16 * 16 * 32 / 16
DTYPES = (*_BITS, "bfloat16")


def computed_peaks(cpus: Collection[int], root: Path = proc.ROOT) -> tuple[ComputedPeak, ...]:
    """The bounds of these CPUs' cores, by dtype; none where the highest clock or the instruction sets are not told.

    A lower clock than the highest would make a peak that a program may pass, and no bound.
    """
    clock_hz = value_of(highest_hz(cpus, root))
    isa = value_of(cpu_facts(root)["isa"])
    if clock_hz is None or isa is None or not cpus:
        return ()
    cores = len(cores_of(cpus, root))
    found = (computed_peak(cores=cores, clock_hz=clock_hz, isa=isa, dtype=dtype) for dtype in DTYPES)
    return tuple(peak for peak in found if peak is not None)


def computed_peak(*, cores: int, clock_hz: float, isa: Collection[str], dtype: str) -> ComputedPeak | None:
    """The peak in operations per second; None where the instruction sets listed have no known rate for the dtype.

    `isa` has the names of /proc/cpuinfo; `clock_hz` should be the highest clock, so that the peak is a bound.
    """
    if cores < 1 or clock_hz <= 0:
        raise ValueError(f"{cores} cores at {clock_hz} Hz have no peak")
    rate = _per_cycle(isa, dtype)
    if rate is None:
        return None
    per_cycle, how = rate
    assumptions = f"{cores} cores x {clock_hz / 1e9:g} GHz on all of them x {per_cycle:g} operations a cycle: {how}"
    return ComputedPeak(per_s=cores * clock_hz * per_cycle, dtype=dtype, assumptions=assumptions)


def _per_cycle(isa: Collection[str], dtype: str) -> tuple[float, str] | None:
    if dtype == "bfloat16" and {"amx_tile", "amx_bf16"} <= set(isa):
        return _AMX_BF16_PER_CYCLE, "one AMX tile unit per core, a 16 x 32 by 32 x 16 product every 16 cycles"
    if dtype not in _BITS:
        return None
    if "avx512f" in isa:
        return _vector(512, dtype), f"{_UNITS} AVX-512 FMA units per core (some models have one, or half-width ones)"
    if {"avx2", "fma"} <= set(isa):
        return _vector(256, dtype), f"{_UNITS} AVX2 FMA units per core"
    return None


def _vector(bits: int, dtype: str) -> float:
    return bits / _BITS[dtype] * _FMA * _UNITS
