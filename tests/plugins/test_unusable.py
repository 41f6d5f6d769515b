"""Packages of others that offer what cannot be used: each name has its reason, and everything else goes on."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from steelyard import plugins
from steelyard.cli import doctor
from steelyard.cli.main import app
from steelyard.core.backend import Availability, Device
from steelyard.core.errors import UsageError
from tests.fakes.numpy_work import PATH
from tests.fakes.runs import llm_points, synthetic_run
from tests.fakes.stored import store

MODULES = {
    "raising": "raise ValueError('made for another version')",
    "leaving": "raise SystemExit(7)",
    "skipping": "class Skipped(BaseException): ...\n\nraise Skipped",
    "others": """
print("imported")
from tests.fakes.numpy_work import NumpyRunner
OBJECT = 7
class Mine(NumpyRunner):
    "A runner of somebody else."
""",
}
ENTRY_POINTS = """
[steelyard.runners]
gone = removed_module:Mine
raising = raising:Mine
leaving = leaving:Mine
skipping = skipping:Mine
lacking = others:Absent
stranger = others:OBJECT
eager = others:Mine
mine = others:Mine

[steelyard.suites]
gone = removed_module:SUITE
stranger = others:OBJECT

[steelyard.reports]
gone = removed_module:REPORT
stranger = others:OBJECT
"""
REASONS = {
    "gone": "offered by other-package: ModuleNotFoundError: No module named 'removed_module'",
    "raising": "offered by other-package: ValueError: made for another version (raising.py:1)",
    "leaving": "offered by other-package: SystemExit: 7",
    "skipping": "offered by other-package: Skipped",
    "lacking": "offered by other-package: AttributeError: module 'others' has no attribute 'Absent'",
    "stranger": "offered by other-package: 'others:OBJECT' is not a subclass of steelyard.core.runner.Runner",
    "eager": "offered by steelyard and other-package: a name stands for one thing",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder of packages with one that is installed there, as pip would leave it."""
    folder = tmp_path_factory.mktemp("site")
    for name, text in MODULES.items():
        (folder / f"{name}.py").write_text(text)
    facts = folder / "other_package-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: other-package\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


@pytest.fixture
def here(site, monkeypatch):
    """The package in this process."""
    monkeypatch.syspath_prepend(str(site))
    plugins._offers.cache_clear()
    yield
    plugins._offers.cache_clear()
    for name in MODULES:
        sys.modules.pop(name, None)


def outside(site, repository, *arguments):
    """A command that has the package installed."""
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{repository}"}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, cwd=site
    )


def test_they_are_listed_with_their_package_and_the_reason(site, repository):
    done = outside(site, repository, "-m", "steelyard", "list", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)  # which nothing that a module prints has broken
    told = {row["backend"]: row["problem"] for row in found["backends"]}
    assert {name for name, problem in told.items() if problem} == set(REASONS)
    assert all(told[name].startswith(reason) for name, reason in REASONS.items()), told
    assert {"mine", "inductor", "onnxruntime"} <= {name for name, problem in told.items() if not problem}
    for kind, good, needed in (("suite", "llm", "steelyard.core.workload.Suite"), ("report", "markdown", "report")):
        rows = {row[kind]: row["problem"] for row in found[f"{kind}s"]}
        assert rows[good] == ""
        assert "removed_module" in rows["gone"]
        assert f"'others:OBJECT' is not a {needed}" in rows["stranger"]


@pytest.mark.usefixtures("here")
def test_only_who_asks_for_the_name_gets_the_error():
    for name, reason in REASONS.items():
        with pytest.raises(UsageError) as error:
            plugins.runner(name)
        assert str(error.value).startswith(f"backend '{name}' cannot be used; {reason}")
    with pytest.raises(UsageError, match="suite 'gone' cannot be used; offered by other-package"):
        plugins.suite("gone")
    with pytest.raises(UsageError, match="did you mean 'inductor'"):
        plugins.runner("inductr")
    assert plugins.runner("mine").__doc__ == "A runner of somebody else."
    assert plugins.suite("llm").name == "llm"


def test_a_launch_imports_nothing_of_other_packages(site, repository):
    text = "import sys; from steelyard.plugins import runner; runner('openvino'); print('others' in sys.modules)"
    assert outside(site, repository, "-c", text).stdout == "False\n"


@pytest.mark.usefixtures("here")
def test_doctor_says_it_of_each(monkeypatch):
    monkeypatch.setattr("steelyard.engine.probe.probe", lambda names, kind: {})
    rows = doctor._backends((Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),))
    told = {row["backend"]: row["reason"] for row in rows if not row["available"] and not row["idle"]}
    assert all(told[name].startswith(reason) for name, reason in REASONS.items())
    monkeypatch.setattr(doctor, "_backends", lambda asked: [])
    advice = CliRunner().invoke(app, ["doctor", "--device", "cpu"], catch_exceptions=False).output
    assert "- suite gone cannot be used; offered by other-package: ModuleNotFoundError" in advice
    assert "- report stranger cannot be used; offered by other-package: 'others:OBJECT' is not a report" in advice


@pytest.mark.usefixtures("here")
def test_a_run_of_all_leaves_them_out_and_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path))
    absent = Availability(available=False, reason="not asked")
    there = Availability(available=True)
    monkeypatch.setattr(
        "steelyard.engine.plan.probe", lambda names, kind: {name: there if name == PATH else absent for name in names}
    )
    arguments = ["run", "--suite", "tests.fakes.small_suite:SUITE", "--baseline", PATH, "--dry-run"]
    output = CliRunner().invoke(app, arguments, catch_exceptions=False).output
    for name, reason in REASONS.items():
        assert f"left out: {name}: {reason}" in output


def test_the_report_of_a_stored_run_is_written(site, repository, tmp_path):
    run = store(synthetic_run(backends=("eager", "gone"), points=llm_points(("decode",)), rounds=1), tmp_path)
    done = outside(site, repository, "-m", "steelyard", "report", str(run), "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert (run / "report" / "csv" / "all.csv").is_file()
