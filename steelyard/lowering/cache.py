"""The content-addressed cache of weights, artifacts, inputs and references.

    weights/<key>/            weights.safetensors and the tokenizer
    programs/<key>/<format>/  one program in one format
    points/<key>/             input sets, references, tolerances

Each entry is a directory with its files and `entry.json`, the list of them with size and sha256. It
is built beside the cache under a lock of its own, flushed to disk and moved into place in one step,
so that it is either whole or not there. Keys hold the versions of what made the entry: an upgrade
builds anew. A file is hashed once per (inode, size, modification time) and then trusted until
`verify`; hard links share that memory.

Several users may share one. What one of them makes is as open to the others as the umask says, and whoever may read
an entry may use it; a file that is closed is no damaged one, and nobody's entry is removed or replaced by another.
"""

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from steelyard import wire
from steelyard.core.errors import Denied, LoweringError, SteelyardError, StoreError, UsageError
from steelyard.core.owner import as_open_as, denied, is_ours, naming_the_owner, owner_of, readable
from steelyard.lowering.cached import KINDS, MANIFEST, CachedFile, Entry, EntryManifest, Flaw, Kind, size_bytes
from steelyard.lowering.durable import flush
from steelyard.lowering.hashes import FileHashes
from steelyard.lowering.locks import locked

_REMOVED = "removed-"
KEPT_ONCE = f"installation/user-{os.geteuid()}"  # see `lowering.installation`


def cache_root() -> Path:
    """`$STEELYARD_CACHE`, else `$XDG_CACHE_HOME/steelyard`, else `~/.cache/steelyard`.

    Raises UsageError where there is no home: no HOME, and a user id without an account, as in many containers.
    """
    try:
        if chosen := os.environ.get("STEELYARD_CACHE"):
            return Path(chosen).expanduser().absolute()
        base = os.environ.get("XDG_CACHE_HOME")
        return (Path(base) if base else Path.home() / ".cache") / "steelyard"
    except RuntimeError as error:
        raise UsageError(
            "there is no home directory to keep a cache in; set STEELYARD_CACHE to a writable directory"
        ) from error


class Cache:
    """A cache directory. Any number of processes may use one at the same time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            with naming_the_owner(root):
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
        wait: bool = True,
    ) -> Entry:
        """The entry of that key, built by `build(directory) -> facts` if it is absent or damaged.

        A second process that wants the same entry waits for the first and takes what it made; or, if it is not to
        `wait`, gets BlockingIOError. Raises LoweringError when the disk is full; nothing half-written stays. Raises
        Denied where it would have to be made and may not, or is damaged and another's.
        """
        try:
            with naming_the_owner(self.root), self.lease():
                found = self.find(kind, key)
                if found is None:
                    with self._lock(_flat(kind, key), blocking=wait):
                        found = self.find(kind, key) or self._make(kind, key, label, made_with, build)
                if not found.fresh:
                    with contextlib.suppress(PermissionError):  # another's, who then does not learn that it is used
                        os.utime(found.path / MANIFEST)
                return found
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise LoweringError(
                    f"{label}: no space left in the cache {self.root}; free some (`bench cache clean --keep SIZE`) "
                    "or set STEELYARD_CACHE to a larger disk"
                ) from error
            raise

    def find(self, kind: Kind, key: str) -> Entry | None:
        """The entry if it is there and whole. A damaged one counts as absent. Raises Denied for one that is closed."""
        with naming_the_owner(self.root):
            entry = self._read(kind, key)
            return entry if isinstance(entry, Entry) and not self._faults(entry) else None

    def entries(self) -> Iterator[tuple[Kind, str, Entry | Flaw]]:
        """Everything in the cache, by kind and key; a flaw stands for an entry of which nothing can be read."""
        for kind in KINDS:
            for path in self._places(kind):
                key = str(path.relative_to(self.root / kind))
                try:
                    yield kind, key, self._read(kind, key)
                except Denied as error:
                    yield kind, key, Flaw(reason=str(error), closed=True)

    def _places(self, kind: Kind) -> Iterator[Path]:
        for place in sorted((self.root / kind).iterdir()):
            try:
                yield from sorted(place.iterdir()) if kind == "programs" else [place]
            except PermissionError:  # of the programs in it, it stands for all
                yield place

    def verify(self) -> dict[str, Flaw]:
        """Hash every file again. What is damaged, and rebuilt at its next use, or closed: by `kind/key`."""
        flaws: dict[str, Flaw] = {}
        hashed: dict[tuple[int, int, int], str] = {}
        for kind, key, entry in self.entries():
            if (flaw := self._flaw(entry, hashed)) is not None:
                flaws[f"{kind}/{key}"] = flaw
        return flaws

    def clean(self, keep_bytes: int) -> list[str]:
        """Remove the entries used longest ago until at most `keep_bytes` remain; returns what went. Damaged ones,
        leavings of killed builds and what runtimes keep for themselves go first. A file with several names counts once.
        What is another user's stays (`others`). Raises SteelyardError while a run holds a lease.
        """
        with naming_the_owner(self.root), self._alone():
            for left in (self.root / "tmp").iterdir():
                if is_ours(left):
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            shutil.rmtree(self.root / KEPT_ONCE, ignore_errors=True)
            whole: list[Entry] = []
            removed: list[str] = []
            for kind, key, entry in list(self.entries()):
                if not is_ours(self.root / kind / key):
                    continue
                if isinstance(entry, Flaw) or self._flaw(entry) is not None:
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
                if is_ours(lock):
                    lock.unlink()
            self._hashes.keep(path for kind in KINDS for path in (self.root / kind).rglob("*") if path.is_file())
        return removed

    def others(self) -> dict[str, str]:
        """Entries of other users, which nobody else removes: `kind/key` to the owner."""
        places = {f"{kind}/{key}": self.root / kind / key for kind, key, _ in self.entries()}
        return {name: owner_of(path) for name, path in places.items() if not is_ours(path)}

    def clear_orphans(self) -> list[Path]:
        """Remove what killed builds of this user left half-made, and name it. A build that goes on holds its lock."""
        removed = []
        for left in sorted((self.root / "tmp").iterdir()):
            if left.is_dir() and is_ours(left):
                with contextlib.suppress(BlockingIOError), self._not_built(left):
                    shutil.rmtree(left, ignore_errors=True)
                    removed.append(left)
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
        if final.exists() and not is_ours(final):
            raise denied(final, "damaged, and only its owner may replace it", self.root)
        draft = self.root / "tmp" / f"{_flat(kind, key)}-{os.geteuid()}"
        shutil.rmtree(draft, ignore_errors=True)  # what a killed process left
        started = time.perf_counter()
        try:
            draft.mkdir(parents=True)
            facts = build(draft)
            as_open_as(draft)
            names = sorted(str(path.relative_to(draft)) for path in draft.rglob("*") if path.is_file())
            files = {}
            for name in names:
                flush(draft / name)
                files[name] = CachedFile(size=(draft / name).stat().st_size, sha256=self._hashes.of(draft / name))
            manifest = EntryManifest(
                label=label, made_with=made_with, files=files, facts=facts, seconds=time.perf_counter() - started
            )
            (draft / MANIFEST).write_bytes(wire.encode(manifest))
            flush(draft / MANIFEST)
            flush(draft)
            if final.exists():
                self._remove(final)
            final.parent.mkdir(parents=True, exist_ok=True)
            draft.rename(final)
            flush(final.parent)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        # Read back, so that a fresh entry and a found one hold the same types.
        return Entry(kind=kind, key=key, path=final, manifest=wire.read(final / MANIFEST, EntryManifest), fresh=True)

    def _read(self, kind: Kind, key: str) -> Entry | Flaw:
        """The entry by its manifest alone. Raises Denied."""
        path = self.root / kind / key
        try:
            manifest = wire.read(path / MANIFEST, EntryManifest)
        except Denied as error:
            raise denied(path / MANIFEST, "permission denied", self.root) from error
        except StoreError:
            return Flaw(reason="no readable entry.json")
        return Entry(kind=kind, key=key, path=path, manifest=manifest)

    def _flaw(self, entry: Entry | Flaw, fresh: dict[tuple[int, int, int], str] | None = None) -> Flaw | None:
        """What is wrong with an entry, None if nothing is; `fresh` as in `_faults`."""
        if isinstance(entry, Flaw):
            return entry
        try:
            with naming_the_owner(self.root):
                faults = self._faults(entry, fresh)
        except Denied as error:
            return Flaw(reason=str(error), closed=True)
        return Flaw(reason="; ".join(faults)) if faults else None

    def _faults(self, entry: Entry, fresh: dict[tuple[int, int, int], str] | None = None) -> list[str]:
        """What is damaged of an entry's files. With `fresh`, remembered hashes count only if taken in this pass.

        Raises PermissionError for a file that is closed, although its hash may be known.
        """
        faults = []
        for name, file in entry.manifest.files.items():
            path = entry.path / name
            try:
                size = path.stat().st_size
                readable(path)
                if size != file.size:
                    faults.append(f"{name} has {size} bytes instead of {file.size}")
                elif self._hashes.of(path, fresh) != file.sha256:
                    faults.append(f"{name} has changed (sha256)")
            except PermissionError:
                raise
            except OSError as error:
                faults.append(f"{name}: {error.strerror}")
        return faults

    def _remove(self, path: Path) -> None:
        grave = self.root / "tmp" / f"{_REMOVED}{os.getpid()}-{time.monotonic_ns()}"
        path.rename(grave)
        shutil.rmtree(grave, ignore_errors=True)  # what is left of it is cleared as an orphan
        if path.parent.parent.name == "programs" and not any(path.parent.iterdir()):
            path.parent.rmdir()

    def _not_built(self, left: Path) -> AbstractContextManager[None]:
        """Held while nobody builds there; what is being removed may be removed by two."""
        if left.name.startswith(_REMOVED):
            return contextlib.nullcontext()
        return self._lock(left.name.rpartition("-")[0], blocking=False)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Held while nobody reads the cache. Raises SteelyardError if somebody does."""
        try:
            with self._lock("lease", blocking=False):
                yield
        except BlockingIOError:
            raise SteelyardError(
                f"{self.root}: a run is using the cache; try again when it has ended, or name another cache"
            ) from None

    def _lock(self, name: str, *, shared: bool = False, blocking: bool = True) -> AbstractContextManager[None]:
        return locked(self.root / "locks" / name, shared=shared, blocking=blocking)


def _flat(kind: Kind, key: str) -> str:
    """The name of the entry's lock, and with a user's id that of the folder in which it is built."""
    return f"{kind}-{key.replace('/', '-')}"
