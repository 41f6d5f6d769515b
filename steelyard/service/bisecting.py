"""Which of many versions made something slower: a step measures one of them against the good one, in turns."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from steelyard import plugins
from steelyard.analysis import compare_run
from steelyard.core.backend import BackendSpec
from steelyard.core.comparison import Estimate
from steelyard.core.errors import SteelyardError, UsageError
from steelyard.environments.made import at_version, package_of
from steelyard.guard.child import program_command
from steelyard.service import two_commits
from steelyard.store import open_run


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version: its name, and what installs it where that was not done yet and gives its backend."""

    name: str
    spec: Callable[[], BackendSpec]


def candidates(
    backend: str, good: str, bad: str, *, project: Path, packages: Sequence[str], say: Callable[[str], None]
) -> list[Candidate]:
    """The good version, those after it, and the bad one last. Raises UsageError where there is no way from the one to
    the other."""
    spec = plugins.backend(backend)
    if spec.environment is not None:
        raise UsageError(f"'{backend}' has an environment already; name the backend without it")
    if ":" in spec.runner:
        commits = two_commits.between(project, good, bad)
        return [
            Candidate(
                commit[: two_commits.DIGITS],
                lambda commit=commit: two_commits.install(  # type: ignore[misc]
                    project, commit, spec, say=say, packages=packages, anew=False
                ),
            )
            for commit in commits
        ]
    return [
        Candidate(version, lambda version=version: at_version(spec, version, packages=packages, say=say))  # type: ignore[misc]
        for version in _versions(spec, good, bad)
    ]


def first_slow(count: int, judge: Callable[[int], str]) -> tuple[int | None, str]:
    """The first of `count` candidates that is slow, found by halving, where all before it are as fast as number 0 and
    all after it slow; else None and what stood in the way. `judge` gives the verdict on a number against 0."""
    verdict = judge(count - 1)
    if verdict != "slower":
        told = "is not slower" if verdict in ("faster", "equivalent") else f"could not be decided ({verdict})"
        return None, f"the bad one {told}"
    fast, slow = 0, count - 1
    while slow - fast > 1:
        middle = (fast + slow) // 2
        verdict = judge(middle)
        if verdict == "slower":
            slow = middle
        elif verdict in ("faster", "equivalent"):
            fast = middle
        else:
            return None, f"a step could not be decided ({verdict}): give it more --time"
    return slow, ""


def judged(path: Path, after: BackendSpec) -> tuple[str, Estimate | None, str]:
    """The verdict of a run on this backend, its speed-up and the run: of the headline's own metric, or where
    that is not among what was run, of the first configuration's."""
    run = open_run(path)
    mine = [item for item in compare_run(run) if item.candidate == after.text]
    if not mine:
        run_id = run.manifest.run_id
        raise SteelyardError(f"{run_id}: {after.text} was not compared; bench show {run_id} says why")
    first = next((item for item in mine if item.workload == run.manifest.headline), mine[0])
    return first.verdict, first.speedup, run.manifest.run_id


def _versions(spec: BackendSpec, good: str, bad: str) -> list[str]:
    """The released versions of a runner's package from the good to the bad one, as the package index lists them."""
    needed = plugins.runner(spec.runner).requirements
    if not needed:
        raise UsageError(f"the runner of '{spec.runner}' names no package whose versions could be tried")
    name = package_of(needed[0])
    try:
        first, last = Version(good), Version(bad)
    except InvalidVersion as error:
        raise UsageError(f"{error}: --good and --bad are versions of {name}") from error
    command = program_command([sys.executable, "-m", "pip", "index", "versions", "--disable-pip-version-check", name])
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=dict(os.environ)
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("Available versions:")), "")
    if done.returncode or not line:
        raise SteelyardError(f"pip does not list the versions of {name}: {done.stderr.strip()[-400:]}")
    listed = sorted(Version(text.strip()) for text in line.partition(":")[2].split(","))
    chosen = [version for version in listed if first <= version <= last and not version.is_prerelease]
    if first not in chosen or last not in chosen or first == last:
        raise UsageError(f"{good} and {bad} are not two released versions of {name}, the good one first")
    return [str(version) for version in chosen]
