"""The site of a history: what it says, in a real browser, with names that try to become markup, and at its largest."""

import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from steelyard.core.errors import UsageError
from steelyard.dashboard import content
from steelyard.dashboard.site import build
from steelyard.history.changes import told
from steelyard.history.nights import Night
from steelyard.service.machines import newest_of
from steelyard.store import open_run
from tests.history.nights import SERIES, nights
from tests.reports.browser import Browser, Page
from tests.reports.hostile import HOSTILE, REASON

PUBLISHED = Path(__file__).parents[2] / "results" / "published"
AXE = files("axe_core_python").joinpath("axe.min.js").read_text()
RUN = """axe.run(document, { resultTypes: ["violations"] }).then((found) => found.violations.map(
    (item) => `${item.id}: ${item.nodes.slice(0, 3).map((node) => node.html).join(" | ")}`))"""


def history() -> tuple[Night, ...]:
    """A backend that became a tenth slower with another version, one that did not, a night that counts for nothing."""
    noise = random.Random(3)
    old, new = {"jax": "0.10.1"}, {"jax": "0.10.2"}
    values = [0.010 * (1 + noise.gauss(0, 0.003)) * (1.1 if number >= 10 else 1.0) for number in range(20)]
    slower = nights(values, [old] * 10 + [new] * 10)
    flat = nights([0.02 + 1e-5 * (number % 3) for number in range(20)], series=replace(SERIES, arm="eager", point="q"))
    failed = replace(flat[4], value=None, reason=REASON)
    return (*slower, *flat[:4], failed, *flat[5:])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build(history(), folder, machines={"m": "A CPU of some kind"}, newest=None)
    return folder


@pytest.fixture
def page(browser: Browser, site: Path) -> Iterator[Page]:
    """A tab that has complained of nothing in the end, and asked for nothing but files of the site."""
    tab = browser.open((site / "index.html").as_uri())
    yield tab
    assert tab.errors == []
    assert all(request.startswith(site.as_uri()) for request in tab.requests)
    tab.close()


def follow(page: Page, selector: str) -> None:
    """Click on a link, and wait until the page that it leads to is there."""
    there = page.value(f"document.querySelector('{selector}').href")
    deadline = time.monotonic() + 30
    with suppress(RuntimeError):  # between two pages there is none to ask
        page.click(selector)
    while time.monotonic() < deadline:
        with suppress(RuntimeError):
            if page.value("document.readyState === 'complete' && location.href") == there:
                return
        time.sleep(0.02)
    raise AssertionError(f"{there} was not opened")


def test_the_front_page_says_what_changed_and_leads_to_every_series(page: Page) -> None:
    assert page.texts("tbody tr")[0].startswith("xla, decode batch=1, latency")
    row = page.texts("tbody td")
    assert "slower" in row
    assert any("jax 0.10.1 → 0.10.2" in text for text in row)
    assert page.texts("tbody.searched tr")[0].startswith("llm")
    assert "A CPU of some kind" in page.text("tbody.searched")
    follow(page, "tbody.searched a")
    assert page.text("h1") == "llm on cpu, A CPU of some kind"
    assert page.count("tbody.searched tr") == 2
    assert "19 of 20" not in page.text("main"), "a night is one case of a backend here"
    assert page.count("svg.spark polyline") == 4
    follow(page, "tbody.searched tr:nth-child(1) a")
    assert page.count("svg.chart circle.counts") == 20
    assert page.count("svg.chart .levels line") == 2


def test_a_search_leaves_the_rows_that_have_all_words(page: Page, site: Path) -> None:
    (group,) = site.glob("group-*.html")
    page.go(group.as_uri())
    script = "(() => { const box = document.querySelector('form.search input'); box.value = %r; "
    script += "box.dispatchEvent(new Event('input')); return document.querySelector('output').textContent; })()"
    assert page.value(script % "EAGER decode") == "1 of 2 rows"
    assert page.value(script % "") == "2 rows"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everybody_can_use_every_page(page: Page, site: Path, dark: bool) -> None:
    page.dark(dark)
    (group,) = site.glob("group-*.html")
    for path in (site / "index.html", group, *sorted(site.glob("series-*.html"))):
        page.go(path.as_uri())
        page.value(f"{AXE}; 0")
        assert page.value(RUN) == [], path.name


def test_names_and_reasons_stay_text(browser: Browser, tmp_path: Path) -> None:
    found = []
    for number, name in enumerate(HOSTILE):
        series = replace(SERIES, arm=name, title=name, suite=name, device=name, machine=f"m{number}", point=str(number))
        found += [replace(night, run=name, reason=REASON) for night in nights([0.01] * 8, series=series)]
    pages = build(found, tmp_path / "site", machines={"m0": HOSTILE[0]}, newest=None)
    tab = browser.open(pages[0].as_uri())
    for path in pages:
        tab.go(path.as_uri())
        assert tab.count("script") == 1
        assert tab.count("img") == 0
        assert tab.errors == []
    assert all(request.startswith("file://") for request in tab.requests)
    tab.close()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path, site: Path) -> None:
    (tmp_path / "index.html").write_text("<p>mine</p>")
    with pytest.raises(UsageError, match="has other files in it; choose a folder of its own"):
        build(history(), tmp_path, machines={}, newest=None)
    before = sorted(path.name for path in site.iterdir())
    build(history(), site, machines={"m": "A CPU of some kind"}, newest=None)
    assert sorted(path.name for path in site.iterdir()) == before, "written again it replaces what was there"


def test_coverage_is_the_share_of_cases_that_count() -> None:
    (group,) = content.groups_of(told(history()))
    found = {each.arm: each for each in content.coverage(group)}
    assert found["xla"].counted == found["xla"].total == (1,) * 20
    assert sum(found["eager"].counted) == 19
    assert sum(found["eager"].total) == 20


def test_a_history_without_nights_has_no_site(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the history holds no nights"):
        build([], tmp_path, machines={}, newest=None)


def test_pages_of_long_histories_stay_small(tmp_path: Path) -> None:
    """A year of nights of 200 cases: no page is above a megabyte."""
    noise = random.Random(1)
    found: list[Night] = []
    for case in range(200):
        series = replace(SERIES, title=f"decode batch={case}", point=str(case))
        found += nights([0.01 + noise.gauss(0, 1e-4) for _ in range(60)], series=series)
    pages = build(found, tmp_path, machines={}, newest=None)
    assert len(pages) == 202
    assert max(page.stat().st_size for page in pages) < 1_000_000


def test_the_newest_run_says_its_comparisons_and_what_it_made_of_its_time(tmp_path: Path) -> None:
    newest = newest_of(PUBLISHED)
    assert newest is not None
    assert newest.run == max(path.name for path in PUBLISHED.iterdir() if path.is_dir() and not open_run(path).traced)
    front = build(history(), tmp_path, machines={}, newest=newest)[0].read_text()
    assert newest.run in front
    assert f"{newest.time}." in front
    assert "of launches that count" in newest.time
