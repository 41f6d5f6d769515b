"""Each mutant still removes what it says, its tests exist, and the harness kills."""

import ast
import subprocess
import sys

import psutil
import pytest

from tests.mutants.kill import main, nobody_stays
from tests.mutants.mutants import MUTANTS

EACH = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


@EACH
def test_the_guard_stands_in_the_product_once(mutant, repository):
    assert (repository / mutant.file).read_text().count(mutant.old) == 1
    changed = (repository / mutant.file).read_text().replace(mutant.old, mutant.new)
    ast.parse(changed)


@EACH
def test_its_tests_exist(mutant, repository):
    for node in mutant.tests:
        path, _, function = node.partition("::")
        tree = ast.parse((repository / path).read_text())
        names = {item.name for item in ast.walk(tree) if isinstance(item, ast.FunctionDef)}
        assert function.partition("[")[0] in names


def test_names_are_unique():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_what_a_mutant_leaves_behind_is_ended():
    """A grandchild in a session of its own, whose parent is gone."""
    leaving = (
        "import subprocess, sys\n"
        "told = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True,\n"
        "    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "print(told.pid)"
    )
    with nobody_stays():
        said = subprocess.run([sys.executable, "-c", leaving], capture_output=True, text=True, check=True).stdout
        assert psutil.pid_exists(int(said))
    assert not psutil.pid_exists(int(said))


def test_the_harness_kills_one_mutant_and_lets_no_harmless_change_count(capsys, monkeypatch):
    """One mutant through the command line; and a change that harms nothing must be told to have survived."""
    assert main(["verdicts from few rounds"]) == 0
    harmless = [mutant for mutant in MUTANTS if mutant.name == "verdicts from few rounds"]
    from dataclasses import replace

    monkeypatch.setattr("tests.mutants.kill.MUTANTS", [replace(harmless[0], new=harmless[0].old + "        # \n")])
    assert main([]) == 1
    assert "SURVIVED" in capsys.readouterr().out
