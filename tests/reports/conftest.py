"""One browser for all tests of pages, and a way to open a page in it that fails on any complaint."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import PACKAGES
from tests.reports.browser import Browser, Page


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium; tests skip, naming the Debian package, where it is missing."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip(f"chromium is not installed: apt install {PACKAGES['chromium']}")
    with Browser(chromium, tmp_path_factory.mktemp("browser") / "profile") as found:
        yield found


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens the text of a page. In the end no page may have complained, or asked for anything but itself."""
    opened: list[tuple[Page, str]] = []

    def open_(text: str, fragment: str = "", **options: object) -> Page:
        path = tmp_path / f"report-{len(opened)}.html"
        path.write_text(text)
        page = browser.open(path.as_uri() + fragment, **options)  # type: ignore[arg-type]
        opened.append((page, path.as_uri()))
        assert page.value("document.documentElement.dataset.ready") == "yes", page.errors
        return page

    yield open_
    for page, address in opened:
        page.close()
        assert page.errors == []
        assert {request.partition("#")[0] for request in page.requests} == {address}
