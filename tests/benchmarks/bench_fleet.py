"""What many machines and many nights cost: plans of 100,000 configurations, sites of long histories."""

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.core.workload import Point, Selection
from steelyard.dashboard.site import build
from steelyard.history import record
from steelyard.history.nights import Night
from steelyard.lowering.points import points_of
from steelyard.selftest.suite import SUITE
from steelyard.service.sharding import divide
from tests.history.nights import SERIES, nights

PLAN_S = 5.0
SITE_S = 60.0
PAGE_BYTES = 1_000_000
NIGHTS, CASES = 1000, 500


@pytest.fixture(scope="module")
def points() -> tuple[Point, ...]:
    """100,000 configurations, of one suite with the same weights."""
    chosen = {"batch": tuple(str(number) for number in range(1, 100_001))}
    return points_of(SUITE, Selection(device_kind="cpu", axes=chosen))


def bench_plan(benchmark, points: tuple[Point, ...]) -> None:
    """100,000 configurations divided into 1,000 shards."""
    benchmark.pedantic(divide, args=({"suite": "selftest"}, points, 1000), rounds=3)
    assert benchmark.stats.stats.median < PLAN_S


def history() -> Iterator[Night]:
    """A thousand nights of five hundred cases, each with a change of level."""
    noise = random.Random(4)
    for case in range(CASES):
        series = replace(SERIES, title=f"decode batch={case}", point=str(case))
        moved = noise.randrange(NIGHTS)
        values = [(0.010 + 0.001 * (night > moved)) * (1 + noise.gauss(0, 0.01)) for night in range(NIGHTS)]
        yield from nights(values, series=series)


def bench_site(benchmark, tmp_path_factory) -> None:
    """The site of 1,000 nights of 500 cases, the reading of their history included; no page above a megabyte."""
    folder: Path = tmp_path_factory.mktemp("site")
    file = folder / "history.jsonl"
    record.append(file, history())

    def written() -> list[Path]:
        begun = time.perf_counter()
        found = record.read(file)
        benchmark.extra_info["read_s"] = time.perf_counter() - begun
        return build(found, folder / "site", machines={}, newest=None)

    pages = benchmark.pedantic(written, rounds=1)
    benchmark.extra_info["pages"] = len(pages)
    benchmark.extra_info["largest_bytes"] = largest = max(page.stat().st_size for page in pages)
    assert benchmark.stats.stats.median < SITE_S
    assert largest < PAGE_BYTES
