"""Run ids, and the runs under a directory."""

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from steelyard.core.errors import StoreError, UsageError, unknown_name
from steelyard.store import segments
from steelyard.store.reader import MANIFEST, read_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry:
    """One line of `bench list runs`. `arms` leaves the control arm out.

    `problem` says why a damaged or foreign run cannot be read.
    """

    run_id: str
    path: Path
    created_utc: str | None
    suite: str | None
    device: str | None
    arms: tuple[str, ...]
    segments: int
    unfinished: int
    problem: str = ""


def new_run_id(suite: str, now: datetime | None = None) -> str:
    """Sorts by time: the UTC second, the suite, six random hex digits."""
    stamp = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    name = re.sub(r"[^A-Za-z0-9_]+", "-", suite).strip("-") or "suite"
    return f"{stamp}-{name}-{secrets.token_hex(3)}"


def find_run(root: Path, wanted: str) -> Path:
    """The directory of a run: a path, an id, the unique beginning or end of one, or `latest`.

    Raises UsageError with the closest ids, or if there are no runs.
    """
    direct = Path(wanted)
    if (direct / MANIFEST).is_file():
        return direct
    ids = _ids(root)
    if not ids:
        raise UsageError(f"{root}: there are no runs here; bench run makes one, --output names another place")
    if wanted == "latest":
        return root / ids[-1]
    if wanted in ids:
        return root / wanted
    matching = [name for name in ids if wanted and (name.startswith(wanted) or name.endswith(wanted))]
    if len(matching) > 1:
        raise UsageError(f"'{wanted}' fits {len(matching)} runs: {', '.join(matching)}; give more of the id")
    if not matching:
        raise unknown_name("run", wanted, [*ids, "latest"])
    return root / matching[0]


def run_of_id(root: Path, run_id: str) -> Path:
    """The directory of the run with this very id. For ids out of files, which are never taken as paths.

    Raises UsageError if there is none.
    """
    if run_id not in _ids(root):
        raise UsageError(f"{root}: there is no run {run_id[:200]!r} here; --runs names another place")
    return root / run_id


def run_folders(root: Path) -> tuple[Path, ...]:
    """The directory of every run under `root`, oldest first, readable or not."""
    return tuple(root / name for name in _ids(root))


def list_runs(root: Path) -> tuple[RunEntry, ...]:
    """Every run under `root`, oldest first; unreadable ones with their problem. None if `root` does not exist."""
    return tuple(_entry(path) for path in run_folders(root))


def _entry(path: Path) -> RunEntry:
    try:
        manifest = read_manifest(path)
        present = segments.found(path)
    except (StoreError, OSError) as error:
        return RunEntry(
            run_id=path.name,
            path=path,
            created_utc=None,
            suite=None,
            device=None,
            arms=(),
            segments=0,
            unfinished=0,
            problem=str(error),
        )
    return RunEntry(
        run_id=manifest.run_id,
        path=path,
        created_utc=manifest.created_utc,
        suite=manifest.suite,
        device=manifest.device.name,
        arms=tuple(arm.label for arm in manifest.arms if not arm.control),
        segments=len(present),
        unfinished=sum(not published for published in present.values()),
    )


def _ids(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    return sorted(path.name for path in root.iterdir() if not path.name.startswith(".") and (path / MANIFEST).is_file())
