"""What the HTML page costs: to write, to carry, and in the browser of a reader who sorts and searches."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from steelyard.reports.html import page

from steelyard.render.output import ReportInputs
from steelyard.tables.build import lay_out
from steelyard.tables.case_details import cases
from steelyard.tables.facts import gather
from tests.fakes.large import SAMPLES_PER_CASE, large_run
from tests.reports.browser import Browser, Page
from tests.reports.pages import large

WRITE_S = 8.0
PAGE_BYTES = 3e6
BYTES_PER_SAMPLE = 1.0
LOAD_S = 4.0
ANSWER_S = 0.2
"""A reader takes less for at once."""
SPEED = "#table-speed-generate"
SORT = f"document.querySelector('{SPEED} thead th:nth-child(2) button').click(); document.body.offsetHeight"
SEARCH = """(() => { const input = document.querySelector("[data-filter=text]");
    input.value = input.value === "backend-7" ? "faster" : "backend-7";
    input.dispatchEvent(new Event("input", { bubbles: true }));
    return new Promise((done) => requestAnimationFrame(() => done(document.body.offsetHeight))); })()"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, Path]]:
    """The page of ten thousand cases in a browser, and where it lies."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    folder = tmp_path_factory.mktemp("page")
    path = folder / "report.html"
    path.write_text(large())
    with Browser(chromium, folder / "profile") as browser:
        yield browser.open(path.as_uri()), path


def bench_write(benchmark) -> None:
    """A million samples in 1,000 cases, from the tables to the text: cases, other baselines, page."""
    facts = gather(large_run(100))
    data = lay_out(facts)

    def write() -> str:
        return page(ReportInputs(data=data, cases=cases(facts)))

    text = benchmark.pedantic(write, rounds=2)
    benchmark.extra_info["bytes"] = len(text.encode())
    assert len(text.encode()) < PAGE_BYTES + BYTES_PER_SAMPLE * 1000 * SAMPLES_PER_CASE
    assert benchmark.stats.stats.median < WRITE_S


def bench_load(benchmark, shown: tuple[Page, Path]) -> None:
    """Ten thousand cases, from the file to a page that answers."""
    seen, path = shown
    benchmark.pedantic(seen.go, args=(path.as_uri(),), rounds=5)
    assert benchmark.stats.stats.median < LOAD_S


@pytest.mark.parametrize("act", [SORT, SEARCH], ids=["sort", "search"])
def bench_answer(benchmark, shown: tuple[Page, Path], act: str) -> None:
    """Ten thousand cases sorted or searched, and laid out."""
    seen, _ = shown
    benchmark.pedantic(seen.value, args=(act,), rounds=20, warmup_rounds=1)
    assert benchmark.stats.stats.median < ANSWER_S
