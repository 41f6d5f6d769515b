"""One browser with one tab for all tests of pages, a way to open a page that fails on any complaint, and LaTeX."""

import shutil
import subprocess
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


@pytest.fixture
def compile_(require_tool: Callable[[str], str]) -> Callable[..., tuple[str, str, str]]:
    """Compiles a document as a person does: with BibTeX where it has a bibliography, until its references are known.

    Returns what the last pass logged, the words on the pages, and the fonts of the file.
    """
    latex, bib = require_tool("pdflatex"), require_tool("bibtex")
    totext, fonts = require_tool("pdftotext"), require_tool("pdffonts")

    def run(folder: Path, name: str = "report") -> tuple[str, str, str]:
        command = [latex, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]
        passes = [[*command, f"{name}.tex"]]
        if r"\bibliography{" in (folder / f"{name}.tex").read_text():
            draft = [*command, "-draftmode", f"{name}.tex"]
            passes = [draft, [bib, name], draft, *passes]
        for each in passes:
            done = subprocess.run(each, cwd=folder, capture_output=True, text=True, errors="replace", timeout=120)
            assert done.returncode == 0, done.stdout[-3000:]
            assert "Warning--" not in done.stdout, done.stdout
        pdf = folder / f"{name}.pdf"
        text = subprocess.run([totext, "-layout", pdf, "-"], capture_output=True, text=True, check=True).stdout
        used = subprocess.run([fonts, pdf], capture_output=True, text=True, check=True).stdout
        return done.stdout, text, used

    return run
