"""One browser with one tab for all tests of pages, and a way to open a page in it that fails on any complaint."""

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


@pytest.fixture(scope="session")
def tab(browser: Browser) -> Page:
    """The one tab: a new one would take longer than most tests do in it."""
    return browser.open("about:blank")


@pytest.fixture
def show(tab: Page, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens the text of a page. In the end none may have complained, or asked for anything but itself."""
    addresses: set[str] = set()
    tab.errors.clear()
    tab.requests.clear()

    def open_(text: str, fragment: str = "", *, width: int = 1400, dark: bool = False) -> Page:
        path = tmp_path / f"report-{len(addresses)}.html"
        path.write_text(text)
        addresses.add(path.as_uri())
        tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=0, y=0)
        tab.size(width, 1000)
        tab.dark(dark)
        tab.go(path.as_uri() + fragment)
        assert tab.value("document.documentElement.dataset.ready") == "yes", tab.errors
        return tab

    yield open_
    assert tab.errors == []
    assert {request.partition("#")[0] for request in tab.requests} == addresses
