"""What the statistics cost, held to limits: tables, judgements of steadiness, a large run compared and summed up."""

import time
from dataclasses import replace

import numpy as np
import pytest

from steelyard import wire
from steelyard.analysis import compare_run, summaries
from steelyard.analysis.sides import sides_of
from steelyard.core.case import Case
from steelyard.core.run import Run
from steelyard.measure.steady import judge
from steelyard.stats import signed_rank
from steelyard.store import uncollected
from tests.fakes.runs import Shape, llm_points, synthetic_run

TABLES_S = 0.010
RUN_S = 1.0


def bench_fifty_signed_rank_tables(benchmark) -> None:
    """All exact tables up to 50 rounds: under 10 ms."""

    def tables() -> None:
        signed_rank._mass.cache_clear()
        signed_rank.cumulative.cache_clear()
        for n in range(1, 51):
            signed_rank.cumulative(n)

    benchmark(tables)
    assert benchmark.stats.stats.median < TABLES_S


def bench_judging_twenty_thousand_samples(benchmark) -> None:
    """One launch of the longest kind; it happens outside the timed window."""
    benchmark(judge, tuple(np.random.default_rng(0).lognormal(-4, 0.02, 20_000)))


@pytest.fixture(scope="module")
def thousand_cases() -> Run:
    points = llm_points(workloads=("prefill", "decode"), batches=range(1, 101))
    run = synthetic_run(rounds=20, points=points, shape=Shape(calls=32), headline="decode")
    assert len(run.manifest.cases) == 1000
    return run


def bench_a_thousand_cases_in_twenty_rounds_as_read(benchmark, thousand_cases: Run) -> None:
    """Comparisons and summaries of a run as it comes from the disk, no hash known: under 1 s together, index included.

    As in a report, nobody looks for garbage among the objects of the run meanwhile.
    """

    def as_read() -> tuple[tuple[Run], dict[str, object]]:
        cases = tuple(wire.decode(wire.encode(case), Case, "case") for case in thousand_cases.manifest.cases)
        return (replace(thousand_cases, manifest=replace(thousand_cases.manifest, cases=cases)),), {}

    def both(run: Run) -> None:
        with uncollected():
            begin = time.perf_counter()
            sides = sides_of(run)
            start = time.perf_counter()
            compare_run(run, sides=sides)
            middle = time.perf_counter()
            summaries(run, sides=sides)
            end = time.perf_counter()
        benchmark.extra_info |= {
            "index_s": start - begin,
            "compare_s": middle - start,
            "summaries_s": end - middle,
        }

    benchmark.pedantic(both, setup=as_read, rounds=5)
    assert benchmark.stats.stats.median < RUN_S
