"""Two commits of a repository, each installed in an environment of its own: the base of a change, and the change."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from steelyard import plugins
from steelyard.core.backend import BackendSpec
from steelyard.core.errors import SteelyardError, UsageError
from steelyard.environments.kept import find
from steelyard.environments.made import create

DIGITS = 12


def installed(
    project: Path, base: str, backend: str, *, say: Callable[[str], None], packages: Sequence[str] = ()
) -> tuple[BackendSpec, BackendSpec]:
    """The backend in an environment with the project as it was at the commit `base`, and in one with it as it is now.

    What is tracked and not yet committed belongs to it as it is now; files that git does not know do not. Both see the
    packages of the environment of `bench` beneath their own, so that they differ in the project, and in `packages`
    only where these conflict with it. Raises UsageError where there are no two commits, SteelyardError where one
    cannot be installed.
    """
    spec = plugins.backend(backend)
    if spec.environment is not None:
        raise UsageError(f"'{backend}' has an environment already; name the backend without it")
    root = _root(project)
    before, after = _commit(root, base), _now(root)
    if before == after:
        raise UsageError(f"{base} is what is here now ({after[:DIGITS]}), with nothing changed: there is no change")
    first, second = (install(project, commit, spec, say=say, packages=packages) for commit in (before, after))
    return first, second


def install(
    project: Path,
    commit: str,
    backend: BackendSpec,
    *,
    say: Callable[[str], None],
    packages: Sequence[str] = (),
    anew: bool = True,
) -> BackendSpec:
    """The backend in the environment of one commit; without `anew` that of before, if there is one that serves."""
    chosen = replace(backend, environment=commit[:DIGITS])
    if anew or not _serves(chosen):
        root = _root(project)
        with _tree(root, commit) as tree:
            create(chosen, requirements=(str(tree), *packages), inherits=True, anew=True, say=say)
    return chosen


def _serves(backend: BackendSpec) -> bool:
    try:
        find(backend)
    except UsageError:
        return False
    return True


def between(project: Path, good: str, bad: str) -> list[str]:
    """The commits from `good` to `bad`, along first parents. Raises UsageError where the one is no ancestor of the
    other."""
    root = _root(project)
    first, last = _commit(root, good), _commit(root, bad)
    later = _git(root, "rev-list", "--reverse", "--first-parent", "--ancestry-path", f"{first}..{last}").split()
    if not later:
        raise UsageError(f"{good} is not an earlier commit on the way to {bad}")
    return [first, *later]


def _root(project: Path) -> Path:
    root = Path(_git(project, "rev-parse", "--show-toplevel"))
    if not any((root / name).is_file() for name in ("pyproject.toml", "setup.py")):
        raise UsageError(f"{root}: has no pyproject.toml, so that pip cannot install a commit of it; write one")
    return root


def _commit(root: Path, name: str) -> str:
    return _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")


def _now(root: Path) -> str:
    """HEAD, or where tracked files differ from it a commit with them, which no branch holds."""
    nobody = ("-c", "user.name=steelyard", "-c", "user.email=steelyard@invalid")  # a job of CI often is nobody
    return _git(root, *nobody, "stash", "create") or _commit(root, "HEAD")


@contextmanager
def _tree(root: Path, commit: str) -> Iterator[Path]:
    """The files of a commit, elsewhere."""
    with TemporaryDirectory(prefix="steelyard-") as folder:
        tree = Path(folder) / root.name
        _git(root, "worktree", "add", "--detach", "--quiet", str(tree), commit)
        try:
            yield tree
        finally:
            shutil.rmtree(tree)
            _git(root, "worktree", "prune")


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=dict(os.environ)
        )
    except OSError as error:
        raise SteelyardError(f"git cannot be run: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.strip() or "no such commit here (a shallow clone? fetch it first)"
        raise UsageError(f"git {' '.join(arguments)}: {said}")
    return done.stdout.strip()
