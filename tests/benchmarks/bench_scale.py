"""Stored runs of 10,000, 100,000 and 1,000,000 samples: what reading, showing, querying and reporting them costs.

A case has 1,000 samples, so that a million of them are 1,000 cases. Cost must grow with the run and no faster.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from steelyard.cli.shown import lines_of
from steelyard.cli.terminal import Terminal
from steelyard.store import query, read_run, uncollected
from steelyard.tables.facts import gather
from tests.fakes.large import SAMPLES_PER_CASE, store_large

SHOW_S = 1.0
QUERY_S = 5.0
REPORT_S = 30.0
REPORT_BYTES = 1e9
PAGE_BYTES = 3e6
PAGE_BYTES_PER_SAMPLE = 1.0
POINTS = (1, 10, 100)
"""Ten backends each: 10, 100 and 1,000 cases."""
LINEAR = 1.5
"""A run ten times as large may cost so much more than ten times as much; fixed costs make it less."""
_WATCHED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss, used.ru_utime + used.ru_stime)
"""
"""Runs a command from a small process and prints the peak of its largest process [KiB] and the CPU time of all [s]:
the kernel counts as a process's memory that of the process which started it."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[int, Path]:
    """The folder of each run by its number of cases."""
    root = tmp_path_factory.mktemp("large")
    return {10 * points: store_large(root / str(points), points) for points in POINTS}


def show(path: Path) -> int:
    """All that `bench show` does after it is imported; returns the number of characters."""
    stored = read_run(path, brief=True)
    with uncollected():
        return sum(len(line) for line in lines_of(stored, gather(stored.run), Terminal()))


@pytest.mark.parametrize("cases", [10 * points for points in POINTS])
def bench_show(benchmark, runs: dict[int, Path], cases: int) -> None:
    """From the files to the page: under 1 s for a million samples in 1,000 cases."""
    benchmark.extra_info["samples"] = cases * SAMPLES_PER_CASE
    benchmark.pedantic(show, args=(runs[cases],), rounds=5, warmup_rounds=1)
    assert benchmark.stats.stats.median < SHOW_S


@pytest.mark.parametrize("cases", [10 * points for points in POINTS])
def bench_read(benchmark, runs: dict[int, Path], cases: int) -> None:
    """A run read whole: proofs, checks and memory too, every file held against its hash."""
    benchmark.pedantic(read_run, args=(runs[cases],), rounds=3, warmup_rounds=1)


def bench_query(benchmark, runs: dict[int, Path]) -> None:
    """A median by backend over a million samples, by SQL."""
    sql = "select arm, median(value) from samples group by all"
    benchmark.pedantic(query, args=(runs[10 * POINTS[-1]].parent, sql), rounds=3, warmup_rounds=1)
    assert benchmark.stats.stats.median < QUERY_S


def bench_growth(benchmark, runs: dict[int, Path]) -> None:
    """Ten times as many samples cost at most ten times as much, and a half for what caches hold no longer."""
    seconds = {cases: best_of(lambda path=path: show(path)) for cases, path in runs.items()}
    benchmark.extra_info |= {f"show_{cases}_cases_s": value for cases, value in seconds.items()}
    benchmark.pedantic(show, args=(runs[10 * POINTS[0]],), rounds=1)
    small, middle, large = (seconds[10 * points] for points in POINTS)
    assert middle < 10 * LINEAR * small
    assert large < 10 * LINEAR * middle


@pytest.mark.parametrize("cases", [10 * points for points in POINTS])
def bench_report(benchmark, runs: dict[int, Path], tmp_path: Path, cases: int) -> None:
    """`bench report` with everything, as a process of its own: under 30 s and 1 GB for a million samples."""
    report = tmp_path / "report"
    command = [sys.executable, "-c", _WATCHED, sys.executable, "-m", "steelyard", "report", str(runs[cases]),
               "--output", str(report)]  # fmt: skip
    told = []

    def write() -> None:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        told.extend(map(float, done.stdout.split()))

    benchmark.pedantic(write, rounds=1)
    peak, cpu_s = 1024 * told[0], told[1]
    page = (report / "report.html").stat().st_size
    written = sum(file.stat().st_size for file in report.rglob("*") if file.is_file())
    benchmark.extra_info |= {"cpu_s": cpu_s, "peak_bytes": peak, "page_bytes": page, "written_bytes": written}
    assert benchmark.stats.stats.median < REPORT_S
    assert peak < REPORT_BYTES
    assert page < PAGE_BYTES + PAGE_BYTES_PER_SAMPLE * cases * SAMPLES_PER_CASE


def best_of(call: Callable[[], object], times: int = 3) -> float:
    """The shortest of some calls, in seconds."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)
