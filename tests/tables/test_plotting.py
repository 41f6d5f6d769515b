"""matplotlib is imported as it comes: in a process of its own each time, with everything set that it reads then."""

import os
import subprocess
import sys

import pytest

CHILD = """
import os
from steelyard.render.plotting import matplotlib
before = os.environ.copy()
drawn = matplotlib()
drawn.rcdefaults()
assert os.environ.items() >= before.items()
print(drawn.rcParams["lines.linewidth"], os.getcwd())
"""


@pytest.mark.parametrize("name", ["MPLBACKEND", "MATPLOTLIBRC", "MPLCONFIGDIR", "XDG_CONFIG_HOME", ""])
def test_nothing_of_the_user_is_read(name, tmp_path):
    """A backend that does not exist; a file of settings that cannot be read, wherever it may lie."""
    bad = tmp_path / ("matplotlib" if name == "XDG_CONFIG_HOME" else "")
    bad.mkdir(exist_ok=True)
    (bad / "matplotlibrc").write_bytes(b"lines.linewidth: 7\nfont.family: \xff\xfe\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {**os.environ} | ({name: "bogus" if name == "MPLBACKEND" else str(tmp_path)} if name else {})
    where = elsewhere if name else tmp_path  # without a variable: the file in the working directory
    done = subprocess.run(
        [sys.executable, "-c", CHILD], env=environment, cwd=where, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"1.5 {where}\n"
