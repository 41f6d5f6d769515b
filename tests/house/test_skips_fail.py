"""CI skips nothing: the rule in tests/conftest.py, tried in a pytest of its own."""

import os
import shutil
import subprocess
import sys

import pytest

SKIPS = """
import pytest

def test_passes():
    assert True

def test_tool(require_tool):
    require_tool("no-such-program")

@pytest.mark.skip(reason="by mark")
def test_marked():
    pass

@pytest.mark.hardware
def test_accelerator():
    pytest.skip("no accelerator here")

@pytest.mark.xfail(strict=True)
def test_expected():
    raise AssertionError
"""
SKIPPED_MODULE = 'import pytest\npytest.importorskip("no_such_module_anywhere")\n'


@pytest.fixture
def run(tmp_path, repository):
    def _run(text, required):
        shutil.copy(repository / "tests/conftest.py", tmp_path / "conftest.py")
        (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    hardware: needs an accelerator\n")
        (tmp_path / "test_it.py").write_text(text)
        environment = {**os.environ, "STEELYARD_REQUIRE_TOOLS": required}
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", str(tmp_path)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return _run


def test_skips_are_skips_for_a_user(run):
    done = run(SKIPS, "")
    assert done.returncode == 0, done.stdout
    assert "1 passed, 3 skipped, 1 xfailed" in done.stdout
    assert "no-such-program is not installed: apt install no-such-program" in done.stdout


def test_skips_fail_in_ci_but_for_hardware(run):
    done = run(SKIPS, "1")
    assert done.returncode == 1
    assert "1 passed, 1 skipped, 1 xfailed" in done.stdout
    assert "2 failed" in done.stdout or ("1 failed" in done.stdout and "1 error" in done.stdout)
    assert "STEELYARD_REQUIRE_TOOLS=1 allows no skipped test" in done.stdout
    assert "by mark" in done.stdout


def test_a_skipped_module_fails_in_ci(run):
    assert run(SKIPPED_MODULE, "").returncode == 5
    done = run(SKIPPED_MODULE, "1")
    assert done.returncode == 2
    assert "no_such_module_anywhere" in done.stdout
