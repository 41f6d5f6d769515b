"""Ceilings of a synthetic machine: every roof is known, so that a test can say what a result reaches of it."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from steelyard.core.backend import Device
from steelyard.core.ceilings import Ceiling, Ceilings
from steelyard.core.comparison import Estimate, Interval
from steelyard.core.lowered import WorkCount
from steelyard.core.run import Run
from steelyard.hardware.ceilings.jobs import MeasurementTerms
from steelyard.hardware.ceilings.kept import keep
from steelyard.hardware.fingerprint import fingerprint
from steelyard.hardware.machine import machine_key

CPU = Device(kind="cpu", index=0, name="A CPU", memory_bytes=1 << 33)
CPUS = tuple(sorted(os.sched_getaffinity(0)))[:1]
TERMS = MeasurementTerms(
    device_kind="cpu", device_index=0, threads=1, cpus=CPUS, sample_s=0.0005, product_s=0.001, most_bytes=1 << 16
)
"""The shortest samples that tell anything, on one thread."""

PEAK = {"float32": 200e9, "float64": 100e9}
BANDWIDTH = {"L1": 400e9, "L2": 200e9, "L3": 90e9, "memory": 24e9}
CAPACITY = {"L1": 64 << 10, "L2": 1 << 20, "L3": 32 << 20}
LATENCY = {"L1": 1.2e-9, "L2": 4e-9, "L3": 15e-9, "memory": 95e-9}
SPREAD = 0.02
"""Half-width of every interval, as a share of its value."""


def known(value: float, rounds: int = 16) -> Estimate:
    """An estimate with an interval of SPREAD on either side."""
    interval = Interval(low=value * (1 - SPREAD), high=value * (1 + SPREAD), confidence=0.95)
    return Estimate(value=value, interval=interval, n=rounds)


def synthetic_ceilings(
    *,
    peak: Mapping[str, float] = PEAK,
    bandwidth: Mapping[str, float] = BANDWIDTH,
    grade: str = "A",
    threads: int = 2,
    versions: Mapping[str, str] | None = None,
) -> Ceilings:
    """What `bench hardware ceilings` would have found on that machine; torch's products are the fastest arithmetic."""
    sizes = {"L1": 16 << 10, "L2": 256 << 10, "L3": 8 << 20, "memory": 128 << 20}
    rows = [
        Ceiling(what=what, by="native", unit="B/s", threads=threads, size=sizes[level], level=level,
                estimate=known(share * value))
        for level, value in bandwidth.items()
        for what, share in (("read", 1.0), ("copy", 0.7), ("triad", 0.8))
    ]  # fmt: skip
    rows += [
        Ceiling(what="chase", by="native", unit="s", threads=1, size=sizes[level], level=level, estimate=known(value))
        for level, value in LATENCY.items()
    ]
    rows += [
        Ceiling(what=what, by=by, unit="1/s", threads=threads, dtype=dtype, estimate=known(share * value))
        for dtype, value in peak.items()
        for what, by, share in (("gemm", "torch", 1.0), ("gemm", "onnxruntime", 0.9), ("fma", "native", 0.95))
    ]
    rows += [
        Ceiling(what="launch", by="torch", unit="s", threads=threads, estimate=known(1.5e-6)),
        Ceiling(what="gemm", by="openvino", unit="1/s", threads=threads, dtype="bfloat16",
                reason="the CPU plugin has no bfloat16 on this CPU"),
    ]  # fmt: skip
    return Ceilings(
        machine="Synthetic CPU 3000",
        machine_key="k",
        device="cpu",
        threads=threads,
        created_utc="2026-01-01T00:00:00+00:00",
        tool_version="0.1.0",
        rounds=16,
        grade=grade,  # type: ignore[arg-type]
        rows=tuple(rows),
        capacity_bytes=CAPACITY,
        versions=versions or {},
        compiler="cc 12.2.0; -O3 -march=native",
    )


def keep_synthetic(cache: Path, device: str, threads: int) -> None:
    """Keep them in a cache as if they had been measured on this machine, so that the next run carries them."""
    found = replace(synthetic_ceilings(threads=threads), machine_key=machine_key(fingerprint()), device=device)
    with patch.dict(os.environ, {"STEELYARD_CACHE": str(cache)}):
        assert keep(found)


def held_against(run: Run, ceilings: Ceilings | None, *, counted: Mapping[str, float] | None = None) -> Run:
    """The run with these ceilings; `counted` gives, by origin, what a compiler counts over the suite's count."""
    lowered = {
        point: replace(facts, work={f"{role}/{origin}": WorkCount(flop=_flop(run, point, role) * share, bytes=5e8)
                                    for origin, share in (counted or {}).items() for role in _roles(run, point)})
        for point, facts in run.manifest.lowered.items()
    }  # fmt: skip
    return replace(run, manifest=replace(run.manifest, ceilings=ceilings, lowered=lowered))


def _roles(run: Run, key: str) -> tuple[str, ...]:
    return tuple(next(case.point for case in run.manifest.cases if case.point.key == key).programs)


def _flop(run: Run, key: str, role: str) -> float:
    """The count of one program so that the whole call has the suite's count: equal shares over all its calls."""
    point = next(case.point for case in run.manifest.cases if case.point.key == key)
    calls = int(point.settings["tokens"]) if point.driver == "generate" else 1
    return float(point.work.flop or 0.0) / calls
