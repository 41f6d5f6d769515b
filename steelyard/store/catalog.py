"""Run ids, and the runs under a directory. A run is who its manifest says it is, whatever its folder is called."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from steelyard.core.errors import StoreError, UsageError, unknown_name
from steelyard.store import segments
from steelyard.store.reader import MANIFEST, read_manifest

_STAMP = re.compile(r"\d{8}T\d{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry:
    """One line of `bench list runs`. `arms` leaves the control arm out.

    `problem` says why a damaged or foreign run cannot be read, or of which folder it is a copy that counts for nothing.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A folder of a run. `run_id` and `time` are the manifest's. Where it cannot be read the id is None, and the time
    what the folder's name tells, or empty."""

    path: Path
    run_id: str | None
    time: str

    @property
    def key(self) -> str:
        """The same for all copies of a run."""
        return self.run_id or str(self.path)


class _Head(msgspec.Struct):
    run_id: str
    created_utc: str


def new_run_id(suite: str, now: datetime | None = None) -> str:
    """Sorts by time: the UTC second, the suite, six random hex digits."""
    return run_id(now or datetime.now(UTC), suite, secrets.token_hex(3))


def run_id(created: datetime, suite: str, digits: str) -> str:
    """The id of a run as the name of a folder, whatever its suite is called."""
    name = re.sub(r"[^A-Za-z0-9_]+", "-", suite).strip("-") or "suite"
    return f"{created.astimezone(UTC).strftime('%Y%m%dT%H%M%SZ')}-{name}-{digits}"


def find_run(root: Path, wanted: str) -> Path:
    """The directory of a run: a path, an id, the name of a folder, the unique beginning or end of one, or `latest`.

    Raises UsageError with the closest ids, or if there are no runs.
    """
    direct = Path(wanted)
    if (direct / MANIFEST).is_file():
        return direct
    places = _places(root)
    once = _once(places)
    if not places:
        raise UsageError(f"{root}: there are no runs here; bench run makes one, --output names another place")
    if wanted == "latest":
        return max(once.values(), key=lambda place: (place.time, place.key)).path
    if wanted in once:
        return once[wanted].path
    for place in places:
        if place.path.name == wanted:
            return place.path
    names = {name: place.path for place in once.values() for name in (place.path.name, place.run_id) if name}
    matching = {path: name for name, path in names.items() if wanted and name.startswith(wanted)}
    matching |= {path: name for name, path in names.items() if wanted and name.endswith(wanted)}
    if len(matching) > 1:
        raise UsageError(f"'{wanted}' fits {len(matching)} runs: {', '.join(matching.values())}; give more of the id")
    if not matching:
        raise unknown_name("run", wanted, [*names, "latest"])
    return next(iter(matching))


def run_of_id(root: Path, run_id: str) -> Path:
    """The directory of the run with this very id. For ids out of files, which are never taken as paths.

    Raises UsageError if there is none.
    """
    found = _once(_places(root)).get(run_id)
    if found is None:
        raise UsageError(f"{root}: there is no run {run_id[:200]!r} here; --runs names another place")
    return found.path


def is_of(path: Path, run_id: str) -> bool:
    """Whether the folder is that of the run with this id."""
    return (path / MANIFEST).is_file() and _place(path).run_id == run_id


def run_folders(root: Path) -> tuple[Path, ...]:
    """The directory of every run under `root`, oldest first, readable or not, copies among them."""
    return tuple(place.path for place in _places(root))


def runs_once(root: Path) -> tuple[Path, ...]:
    """The same with one directory for each run: of copies the one that `copies` does not name."""
    copied = copies(root)
    return tuple(path for path in run_folders(root) if path not in copied)


def copies(root: Path) -> Mapping[Path, str]:
    """The folders whose run counts by another folder, and what is said of them wherever runs are counted."""
    places = _places(root)
    once = _once(places)
    return {
        place.path: f"{place.path}: a copy of the run in {once[place.key].path.name}/, and counted there"
        for place in places
        if once[place.key] is not place
    }


def list_runs(root: Path) -> tuple[RunEntry, ...]:
    """Every run under `root`, oldest first; unreadable ones and copies with their problem. None without `root`."""
    copied = copies(root)
    return tuple(_entry(path, copied.get(path, "")) for path in run_folders(root))


def _entry(path: Path, copied: str) -> RunEntry:
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
        problem=copied,
    )


def _places(root: Path) -> list[_Place]:
    """Every folder of a run, oldest first; last those of which nothing tells a time."""
    if not root.is_dir():
        return []
    found = [_place(path) for path in root.iterdir() if not path.name.startswith(".") and (path / MANIFEST).is_file()]
    return sorted(found, key=lambda place: (not place.time, place.time, place.key, place.path.name))


def _place(path: Path) -> _Place:
    try:
        head = msgspec.json.decode((path / MANIFEST).read_bytes(), type=_Head)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):  # whoever reads the run says what is wrong with it
        stamp = _STAMP.match(path.name)
        return _Place(path=path, run_id=None, time=stamp[0] if stamp else "")
    return _Place(path=path, run_id=head.run_id, time=re.sub("[-:]", "", head.created_utc)[:15])


def _once(places: Sequence[_Place]) -> dict[str, _Place]:
    """One place for each id: of several the one with the most segments, then the one that has its name from the id."""
    found: dict[str, list[_Place]] = {}
    for place in places:
        found.setdefault(place.key, []).append(place)
    return {key: same[0] if len(same) == 1 else max(same, key=_whole) for key, same in found.items()}


def _whole(place: _Place) -> tuple[int, bool]:
    return sum(segments.found(place.path).values()), place.path.name == place.run_id
