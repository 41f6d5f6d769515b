"""The content-addressed cache of weights, artifacts, inputs and references.

    weights/<key>/            weights.safetensors and the tokenizer
    programs/<key>/<format>/  one program in one format
    points/<key>/             input sets, references, tolerances

Each entry is a directory with its files and `entry.json`, the list of them with size and sha256. It
is built beside the cache under a lock of its own, flushed to disk and moved into place in one step,
so that it is either whole or not there. Keys hold the versions of what made the entry: an upgrade
builds anew. A file is hashed once per (inode, size, modification time) and then trusted until
`verify`; hard links share that memory.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from steelyard import wire
from steelyard.core.errors import LoweringError, SteelyardError, StoreError, UsageError
from steelyard.core.hashing import stable_hash
from steelyard.lowering.hashes import FileHashes

Kind = Literal["weights", "programs", "points"]
KINDS: tuple[Kind, ...] = ("weights", "programs", "points")
_MANIFEST = "entry.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFile:
    """A file of an entry, as it was when the entry was made."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What `entry.json` holds. `facts` is whatever the builder wants to know again; `made_with` names versions."""

    label: str
    made_with: Mapping[str, str]
    files: Mapping[str, CachedFile]
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A whole entry of the cache; `fresh` if it was made just now and not found."""

    kind: Kind
    key: str
    path: Path
    manifest: Manifest
    fresh: bool = False

    @property
    def sha256(self) -> str:
        """One digest over the names and contents of all files."""
        return stable_hash({name: file.sha256 for name, file in self.manifest.files.items()})

    @property
    def used_at_s(self) -> float:
        """Unix time of the last use."""
        return (self.path / _MANIFEST).stat().st_mtime


def cache_root() -> Path:
    """`$STEELYARD_CACHE`, else `$XDG_CACHE_HOME/steelyard`, else `~/.cache/steelyard`."""
    if chosen := os.environ.get("STEELYARD_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "steelyard"


class Cache:
    """A cache directory. Any number of processes may use one at the same time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            for name in ("tmp", "locks", *KINDS):
                (root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{root}: cannot be used as cache ({error.strerror}); set STEELYARD_CACHE to a writable directory"
            ) from error
        self._hashes = FileHashes(root)

    def obtain(
        self,
        kind: Kind,
        key: str,
        *,
        label: str,
        made_with: Mapping[str, str],
        build: Callable[[Path], Mapping[str, Any]],
    ) -> Entry:
        """The entry of that key, built by `build(directory) -> facts` if it is absent or damaged.

        A second process that wants the same entry waits for the first and takes what it made.
        Raises LoweringError when the disk is full; nothing half-written stays.
        """
        try:
            with self.lease(), self._lock(f"{kind}-{key.replace('/', '-')}"):
                found = self.find(kind, key)
                if found is not None:
                    os.utime(found.path / _MANIFEST)
                    return found
                return self._make(kind, key, label, made_with, build)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise LoweringError(
                    f"{label}: no space left in the cache {self.root}; free some (`bench cache clean --keep SIZE`) "
                    "or set STEELYARD_CACHE to a larger disk"
                ) from error
            raise

    def find(self, kind: Kind, key: str) -> Entry | None:
        """The entry if it is there and whole. A damaged one counts as absent."""
        path = self.root / kind / key
        try:
            manifest = wire.read(path / _MANIFEST, Manifest)
        except StoreError:
            return None
        entry = Entry(kind=kind, key=key, path=path, manifest=manifest)
        return None if self._faults(entry) else entry

    def entries(self) -> Iterator[tuple[Kind, str, Entry | None]]:
        """Everything in the cache, by kind and key; None stands for an entry without a readable manifest."""
        for kind in KINDS:
            depth = "*/*" if kind == "programs" else "*"
            for path in sorted((self.root / kind).glob(depth)):
                key = str(path.relative_to(self.root / kind))
                try:
                    manifest = wire.read(path / _MANIFEST, Manifest)
                except StoreError:
                    yield kind, key, None
                else:
                    yield kind, key, Entry(kind=kind, key=key, path=path, manifest=manifest)

    def verify(self) -> dict[str, str]:
        """Hash every file again. Returns what is damaged: `kind/key` to the reason; its next use rebuilds it."""
        damaged: dict[str, str] = {}
        hashed: dict[tuple[int, int, int], str] = {}
        for kind, key, entry in self.entries():
            faults = ["no readable entry.json"] if entry is None else self._faults(entry, hashed)
            if faults:
                damaged[f"{kind}/{key}"] = "; ".join(faults)
        return damaged

    def clean(self, keep_bytes: int) -> list[str]:
        """Remove the entries used longest ago until at most `keep_bytes` remain; returns what went.

        Damaged entries and the leavings of killed builds go first. A file with several names counts
        once. Raises SteelyardError while a run holds a lease.
        """
        with self._lock("lease", blocking=False):
            shutil.rmtree(self.root / "tmp")
            (self.root / "tmp").mkdir()
            whole: list[Entry] = []
            removed: list[str] = []
            for kind, key, entry in list(self.entries()):
                if entry is None or self._faults(entry):
                    self._remove(self.root / kind / key)
                    removed.append(f"{kind}/{key}")
                else:
                    whole.append(entry)
            whole.sort(key=lambda entry: entry.used_at_s)
            while whole and size_bytes(whole) > keep_bytes:
                entry = whole.pop(0)
                self._remove(entry.path)
                removed.append(f"{entry.kind}/{entry.key}")
            for lock in (self.root / "locks").glob("*-*"):
                lock.unlink()
            self._hashes.keep(path for kind in KINDS for path in (self.root / kind).rglob("*") if path.is_file())
        return removed

    @contextlib.contextmanager
    def lease(self) -> Iterator[None]:
        """Held while a run reads the cache: nothing is cleaned meanwhile. Any number may hold it at once."""
        with self._lock("lease", shared=True):
            yield

    def _make(
        self,
        kind: Kind,
        key: str,
        label: str,
        made_with: Mapping[str, str],
        build: Callable[[Path], Mapping[str, Any]],
    ) -> Entry:
        final = self.root / kind / key
        draft = self.root / "tmp" / f"{kind}-{key.replace('/', '-')}"
        shutil.rmtree(draft, ignore_errors=True)  # what a killed process left
        started = time.perf_counter()
        try:
            draft.mkdir(parents=True)
            facts = build(draft)
            names = sorted(str(path.relative_to(draft)) for path in draft.rglob("*") if path.is_file())
            files = {}
            for name in names:
                _flush(draft / name)
                files[name] = CachedFile(size=(draft / name).stat().st_size, sha256=self._hashes.of(draft / name))
            manifest = Manifest(
                label=label, made_with=made_with, files=files, facts=facts, seconds=time.perf_counter() - started
            )
            (draft / _MANIFEST).write_bytes(wire.encode(manifest))
            _flush(draft / _MANIFEST)
            _flush(draft)
            if final.exists():
                self._remove(final)
            final.parent.mkdir(parents=True, exist_ok=True)
            draft.rename(final)
            _flush(final.parent)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        # Read back, so that a fresh entry and a found one hold the same types.
        return Entry(kind=kind, key=key, path=final, manifest=wire.read(final / _MANIFEST, Manifest), fresh=True)

    def _faults(self, entry: Entry, fresh: dict[tuple[int, int, int], str] | None = None) -> list[str]:
        """What is wrong with an entry's files. With `fresh`, remembered hashes count only if taken in this pass."""
        faults = []
        for name, file in entry.manifest.files.items():
            path = entry.path / name
            try:
                size = path.stat().st_size
                if size != file.size:
                    faults.append(f"{name} has {size} bytes instead of {file.size}")
                elif self._hashes.of(path, fresh) != file.sha256:
                    faults.append(f"{name} has changed (sha256)")
            except OSError as error:
                faults.append(f"{name}: {error.strerror}")
        return faults

    def _remove(self, path: Path) -> None:
        grave = self.root / "tmp" / f"removed-{os.getpid()}-{time.monotonic_ns()}"
        path.rename(grave)
        shutil.rmtree(grave)
        if path.parent.parent.name == "programs" and not any(path.parent.iterdir()):
            path.parent.rmdir()

    @contextlib.contextmanager
    def _lock(self, name: str, *, shared: bool = False, blocking: bool = True) -> Iterator[None]:
        with (self.root / "locks" / name).open("a") as stream:
            mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            try:
                fcntl.flock(stream, mode if blocking else mode | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SteelyardError(
                    f"{self.root}: a run is using the cache; try again when it has ended, or name another cache"
                ) from None
            yield


def size_bytes(entries: list[Entry]) -> int:
    """The space that entries take together; a file with several names (hard links) counts once."""
    sizes: dict[tuple[int, int], int] = {}
    for entry in entries:
        for name in (*entry.manifest.files, _MANIFEST):
            stat = (entry.path / name).stat()
            sizes[stat.st_dev, stat.st_ino] = stat.st_size
    return sum(sizes.values())


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
