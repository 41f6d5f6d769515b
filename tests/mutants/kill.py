"""`make mutants`: apply each mutant to a copy of the tree and run its tests there; every one must fail.

First the tests of all mutants must pass on the copy as it is, or a failure would prove nothing. Names given as
arguments choose mutants. Exit code 0 if every mutant was killed, 1 if one survived.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.mutants.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
_PR_SET_CHILD_SUBREAPER = 36
_FAILED = 1  # pytest: tests were run and some failed; other codes mean that nothing was tested


def copy_tree(target: Path) -> None:
    """Copy what git knows or does not ignore; content folders become subpackages, as in the wheel."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    for content in ("runners", "suites", "reports", "hardware_profiles"):
        (target / "steelyard" / content).symlink_to(target / content)


@contextmanager
def nobody_stays() -> Iterator[None]:
    """Who was started meanwhile is ended: without their guard two tests leave a child that burns a CPU for minutes."""
    me, libc = psutil.Process(), ctypes.CDLL(None)
    before = {child.pid for child in me.children(recursive=True)}
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)  # orphans become children of this process
    try:
        yield
    finally:
        for child in me.children(recursive=True):
            if child.pid not in before:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
                    child.wait()
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0)


def run_tests(tree: Path, tests: Sequence[str]) -> tuple[int, str]:
    """pytest's exit code and its last lines, with the copy before everything installed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, "\n".join((done.stdout + done.stderr).splitlines()[-15:])


def attempt(tree: Path, mutant: Mutant) -> tuple[bool, str]:
    """Whether the mutant was killed, and pytest's last words. The copy is whole again afterwards."""
    path = tree / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        return False, f"the guard stands {text.count(mutant.old)} times in {mutant.file}: mend the mutant"
    path.write_text(text.replace(mutant.old, mutant.new))
    try:
        with nobody_stays():
            code, said = run_tests(tree, mutant.tests)
    finally:
        path.write_text(text)
    return code == _FAILED, said


def main(names: Sequence[str]) -> int:
    """Kill all mutants, or those named."""
    unknown = set(names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        print(f"no such mutant: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    with tempfile.TemporaryDirectory(prefix="steelyard-mutants-") as directory:
        tree = Path(directory) / "tree"
        copy_tree(tree)
        tests = list(dict.fromkeys(test for mutant in chosen for test in mutant.tests))
        code, said = run_tests(tree, tests)
        if code != 0:
            print(f"the tests do not pass on the tree as it is:\n{said}", file=sys.stderr)
            return 1
        survivors = 0
        for mutant in chosen:
            begun = time.monotonic()
            killed, said = attempt(tree, mutant)
            took = time.monotonic() - begun
            print(f"{'killed  ' if killed else 'SURVIVED'}  {mutant.name} ({took:.1f} s)", flush=True)
            if not killed:
                survivors += 1
                print(said)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
