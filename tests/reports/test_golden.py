"""Every text format against its golden file, byte by byte, here and as another user on another path."""

import difflib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reports.golden_files import FOLDER, FORMATS, golden_files

RENEW = "`make golden` writes them anew; look at the difference before you commit it"
MOST_LINES = 60


def difference(name: str, text: str) -> str:
    """How a text differs from its golden file, as a diff that is no longer than a screen; empty where it does not."""
    path = FOLDER / name
    old = path.read_bytes().decode() if path.exists() else ""
    if old == text:
        return ""
    lines = list(
        difflib.unified_diff(old.splitlines(), text.splitlines(), f"golden/{name}", "as written now", n=1, lineterm="")
    )
    more = f"\n... and {len(lines) - MOST_LINES} lines more" if len(lines) > MOST_LINES else ""
    told = "\n".join(line[:400] for line in lines[:MOST_LINES])
    return f"{told or 'only line ends differ'}{more}\n"


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return dict(golden_files())


@pytest.mark.parametrize("format_", FORMATS)
def test_each_format_is_what_its_golden_files_say(made, format_):
    told = "".join(difference(name, text) for name, text in made.items() if name.endswith(f"-{format_}.txt"))
    assert not told, f"{RENEW}\n{told}"


def test_there_is_no_golden_file_that_nothing_makes(made):
    assert {path.name for path in FOLDER.iterdir()} == set(made)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 130_000


def test_another_user_on_another_path_gets_the_same_bytes(tmp_path, repository):
    """Home, user, language, terminal, time zone and the order of sets are another's."""
    home = tmp_path / "another home"
    home.mkdir()
    other = {
        "HOME": str(home),
        "USER": "another",
        "LOGNAME": "another",
        "LANG": "C",
        "LC_ALL": "C",
        "COLUMNS": "40",
        "TZ": "Asia/Kolkata",
        "PYTHONHASHSEED": "7",
        "PYTHONPATH": str(repository),
        "PATH": os.environ["PATH"],
    }
    command = [sys.executable, "-m", "tests.reports.golden_files", str(tmp_path / "made")]
    done = subprocess.run(command, cwd=home, env=other, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    assert found == {path.name: path.read_bytes() for path in FOLDER.iterdir()}


def test_a_changed_digit_is_told_with_its_line():
    (name, *_) = sorted(path.name for path in FOLDER.glob("*-markdown.txt"))
    text = (FOLDER / name).read_text()
    told = difference(name, text.replace("n = 8 launches", "n = 9 launches", 1))
    assert "-" in told
    assert "n = 9 launches" in told
    assert difference(name, text) == ""
    assert Path(name).suffix == ".txt"
