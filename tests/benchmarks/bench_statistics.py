"""What the statistics cost: tables, judgements of steadiness, a large run compared and summed up."""

import numpy as np
import pytest

from steelyard.compare import compare_run, summaries
from steelyard.core.run import Run
from steelyard.measure.steady import judge
from steelyard.stats import signed_rank
from tests.fakes.runs import Shape, llm_points, synthetic_run


def bench_fifty_signed_rank_tables(benchmark) -> None:
    """Goal: under 10 ms."""

    def tables() -> None:
        signed_rank._mass.cache_clear()
        signed_rank.cumulative.cache_clear()
        for n in range(1, 51):
            signed_rank.cumulative(n)

    benchmark(tables)


def bench_judging_twenty_thousand_samples(benchmark) -> None:
    """One launch of the longest kind; it happens outside the timed window."""
    benchmark(judge, tuple(np.random.default_rng(0).lognormal(-4, 0.02, 20_000)))


@pytest.fixture(scope="module")
def thousand_cases() -> Run:
    points = llm_points(workloads=("prefill", "decode"), batches=range(1, 101))
    run = synthetic_run(rounds=20, points=points, shape=Shape(calls=32), headline="decode")
    assert len(run.manifest.cases) == 1000
    return run


def bench_comparing_a_thousand_cases_in_twenty_rounds(benchmark, thousand_cases: Run) -> None:
    """Goal: under 1 s."""
    benchmark.pedantic(compare_run, (thousand_cases,), rounds=3)


def bench_summing_up_a_thousand_cases_in_twenty_rounds(benchmark, thousand_cases: Run) -> None:
    """Goal: under 1 s."""
    benchmark.pedantic(summaries, (thousand_cases,), rounds=3)
