"""Our ceilings beside the plain tools: products by numpy and torch as anyone would time them, and STREAM's triad.

The ratio is printed with both intervals, which overlap or are explained in docs/ceilings.md. Each side is measured in
turn, in as many rounds; ours through its own process, theirs in one of its own with the same CPUs and threads.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from steelyard.core.comparison import Estimate
from steelyard.hardware.ceilings.build import library
from steelyard.hardware.ceilings.jobs import MeasurementTerms, Start
from steelyard.hardware.ceilings.measure import settled
from steelyard.hardware.ceilings.process import Process, environment

ROUNDS = 32
CPUS = tuple(sorted(os.sched_getaffinity(0)))
TERMS = MeasurementTerms(
    device_kind="cpu", device_index=0, threads=len(CPUS), cpus=CPUS, sample_s=0.05, product_s=0.1, most_bytes=256 << 20
)

PLAIN = """
import os, sys, time
os.sched_setaffinity(0, [int(cpu) for cpu in sys.argv[3].split(",")])
n = int(sys.argv[2])
if sys.argv[1] == "numpy":
    import numpy as np
    a, b = (np.random.default_rng(seed).standard_normal((n, n), dtype=np.float32) for seed in (0, 1))
    run = lambda: a @ b
else:
    import torch
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    a, b = torch.randn(n, n), torch.randn(n, n)
    run = lambda: a @ b
run()
for _ in sys.stdin:
    begun = time.perf_counter()
    count = 0
    while time.perf_counter() - begun < 0.1:
        run()
        count += 1
    print(2 * n**3 * count / (time.perf_counter() - begun), flush=True)
"""

STREAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#define N 16777216 /* 128 MiB an array, as STREAM asks: several times the last cache */
double a[N], b[N], c[N];
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
int main(void) {
#pragma omp parallel for
    for (long j = 0; j < N; j++) a[j] = 1.0, b[j] = 2.0, c[j] = 1.0;
    char line[16];
    while (fgets(line, sizeof line, stdin)) {
        double best = 1e30;
        for (int k = 0; k < 3; k++) {
            double begun = now();
#pragma omp parallel for
            for (long j = 0; j < N; j++) a[j] = b[j] + 3.0 * c[j];
            double taken = now() - begun;
            if (a[N / 2] != 5.0) return 1;
            a[k] = 0.0;
            best = taken < best ? taken : best;
        }
        printf("%.17g\n", 3.0 * sizeof(double) * N / best);
        fflush(stdout);
    }
    return 0;
}
"""


class Plain:
    """A program that measures once for every line, and prints the rate."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(TERMS)
        )

    def __call__(self) -> float:
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


@pytest.fixture
def ours(request):
    """The process of one of our runtimes, and what it offers."""
    process = Process(Start(by=request.param, terms=TERMS, library=str(library().path)))
    yield process, process.ready().offers
    process.close()


def beside(benchmark, name: str, mine: Callable[[], float], theirs: Callable[[], float]) -> None:
    """Measure both in turn, print the ratio, and fail only where a side gives nonsense."""
    values: list[tuple[float, float]] = []
    benchmark.pedantic(lambda: values.append((mine(), theirs())), rounds=ROUNDS)
    left, right = settled([value for value, _ in values]), settled([value for _, value in values])
    ratio = settled([a / b for a, b in values])
    overlap = left.interval.low <= right.interval.high and right.interval.low <= left.interval.high
    benchmark.extra_info |= {"ours": left.value, "theirs": right.value, "ratio": ratio.value, "overlap": overlap}
    print(f"\n{name}: ours {shown(left)}, theirs {shown(right)} (1e9/s); ours / theirs {shown(ratio, 1.0)}, "
          f"{'intervals overlap' if overlap else 'intervals apart'}")  # fmt: skip
    assert 0.1 < ratio.value < 10


def shown(estimate: Estimate, scale: float = 1e-9) -> str:
    ends = estimate.interval
    return f"{estimate.value * scale:.4g} [{ends.low * scale:.4g}, {ends.high * scale:.4g}]"


def product_of(ours, dtype: str = "float32") -> tuple[Callable[[], float], int]:
    process, offers = ours
    at = next(i for i, each in enumerate(offers) if each.what == "gemm" and each.dtype == dtype and not each.reason)
    return lambda: process.visit([at]).values[at], offers[at].size


@pytest.mark.parametrize(("ours", "tool"), [("torch", "torch"), ("torch", "numpy"), ("onnxruntime", "numpy")],
                         indirect=["ours"])  # fmt: skip
def bench_product(benchmark, ours, tool) -> None:
    """A float32 product of the edge that we chose: ours beside `a @ b` of a plain tool."""
    mine, edge = product_of(ours)
    theirs = Plain([sys.executable, "-c", PLAIN, tool, str(edge), ",".join(map(str, CPUS))])
    try:
        beside(benchmark, f"float32 product of {edge}, {ours[0].by} beside plain {tool}", mine, theirs)
    finally:
        theirs.close()


@pytest.mark.parametrize("ours", ["native"], indirect=True)
def bench_triad(benchmark, ours, tmp_path: Path) -> None:
    """Our triad in memory beside STREAM's, compiled here with OpenMP; both count three words for each element."""
    process, offers = ours
    size = max(each.size for each in offers if each.what == "triad" and each.level == "memory")
    at = next(i for i, each in enumerate(offers) if (each.what, each.size) == ("triad", size))
    source, program = tmp_path / "stream.c", tmp_path / "stream"
    source.write_text(STREAM)
    subprocess.run(["cc", "-O3", "-march=native", "-fopenmp", str(source), "-o", str(program)], check=True)
    theirs = Plain(["taskset", "-c", ",".join(map(str, CPUS)), str(program)])
    try:
        name = f"triad over {size >> 20} MiB a thread beside STREAM's over 384 MiB"
        beside(benchmark, name, lambda: process.visit([at]).values[at], theirs)
    finally:
        theirs.close()


def bench_one_call_of_a_loop(benchmark) -> None:
    """What starting threads and touching memory costs beside the loop itself: why a sample is not shorter."""
    loops = ctypes.CDLL(str(library().path))
    cpus = (ctypes.c_int * len(CPUS))(*CPUS)
    taken = ctypes.c_double()

    def sample() -> None:
        assert loops.steelyard_sample(0, ctypes.c_int64(4096), ctypes.c_int64(1), len(CPUS), cpus,
                                      ctypes.byref(taken)) == 0  # fmt: skip

    benchmark.pedantic(sample, rounds=200, warmup_rounds=5)
    print(f"\none call of the smallest loop: {benchmark.stats.stats.median * 1e6:.0f} us")
