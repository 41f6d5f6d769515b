"""What every test shares: outside programs, and the rule that CI skips nothing.

Under STEELYARD_REQUIRE_TOOLS=1 a skipped test is a failure; only a test marked `hardware` may skip.
"""

import atexit
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from steelyard.lowering.installation import installation_folder
from steelyard.measure.telemetry import OFF, without_telemetry

# A busy machine makes single examples slow; the timeout of the whole test stays.
settings.register_profile("steelyard", deadline=None)
settings.load_profile("steelyard")

# Tests that run side by side measure nothing that counts: each of their processes has locks of its own.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    locks = tempfile.mkdtemp(prefix=f"steelyard-locks-{worker}-")
    os.environ.setdefault("STEELYARD_LOCKS", locks)
    atexit.register(shutil.rmtree, locks, ignore_errors=True)

# What a runtime makes once for an installation is made once for all tests, whose caches are their own.
if folder := installation_folder():
    os.environ.setdefault("STEELYARD_INSTALLATION", str(folder))

# Runtimes that tests run in this process, and in those that inherit its environment, report nothing home either.
os.environ.update(OFF)
without_telemetry()

PACKAGES = {
    "pdflatex": "texlive-latex-recommended lmodern",
    "pdffonts": "poppler-utils",
    "pdftotext": "poppler-utils",
    "pdftoppm": "poppler-utils",
    "chromium": "chromium",
    "strace": "strace",
}


@pytest.fixture
def require_tool() -> Callable[[str], str]:
    """The path of an outside program; the test skips, naming the Debian package, where it is missing."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"{name} is not installed: apt install {PACKAGES.get(name, name)}")
        return path

    return find


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Side by side the tests of a file stay in one process, and so do all that look at the one large run of the suite
    llm, which takes minutes."""
    from xdist.scheduler import LoadScopeScheduling

    here = Path(__file__).parent
    shared = {
        path.relative_to(here.parent).as_posix() for path in here.rglob("test_*.py") if "llm_runs" in path.read_text()
    }

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return "llm_runs" if path in shared else path

    return ByFile(config, log)


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """Ctrl-C reaches the children of tests, even where the tests themselves run in the background.

    A shell starts background jobs with the signal ignored, and a process passes that on to its children.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _locks_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Generator[None, None, None]:
    """The tests refuse nobody else on this machine, and are refused by nobody: what they run locks CPUs elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEELYARD_LOCKS", str(tmp_path_factory.mktemp("locks")))
        yield


class _Told:
    """Names what failed at once: a run that is ended from outside never comes to its summary."""

    def __init__(self, config: pytest.Config) -> None:
        self._write = config.pluginmanager.getplugin("terminalreporter").write_line

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._write(f"\nfailed in {report.when}: {report.nodeid}")


def pytest_configure(config: pytest.Config) -> None:
    """Only the process that prints has a reporter; workers report to it."""
    if config.pluginmanager.hasplugin("terminalreporter"):
        config.pluginmanager.register(_Told(config))


def _nothing_skips() -> bool:
    return os.environ.get("STEELYARD_REQUIRE_TOOLS") == "1"


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}: STEELYARD_REQUIRE_TOOLS=1 allows no skipped test, but: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    expected_failure = hasattr(report, "wasxfail")
    if report.skipped and not expected_failure and _nothing_skips() and not item.get_closest_marker("hardware"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and _nothing_skips():
        _fail(report)
    return report


@pytest.fixture(autouse=True)
def _standard_floating_point() -> Generator[None, None, None]:
    """Undo what a runtime does to this process: some flush subnormal numbers to zero, and leave it at that.

    Measured launches are processes of their own; tests that run a runtime here share one with all others.
    """
    yield
    if sys.platform == "linux":
        default = ctypes.c_void_p(-1)  # FE_DFL_ENV of glibc
        assert ctypes.CDLL("libm.so.6").fesetenv(default) == 0


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the working tree."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has tests/plugin_package installed, by pip, from a copy of its own."""
    target, copy = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("source") / "package"
    ignored = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    shutil.copytree(repository / "tests/plugin_package", copy, ignore=ignored)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(target)]
    command = [sys.executable, "-m", "pip", "install", *options, str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {**os.environ, "PYTHONPATH": str(target)}
