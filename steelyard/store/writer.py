"""Writing a run: create or resume it, append what is measured, publish the segment."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from steelyard.core.errors import StoreError
from steelyard.core.metrics import Reading
from steelyard.core.result import LaunchRecord, Result
from steelyard.core.run import SCHEMA_VERSION, Manifest, Noise
from steelyard.store import codec, quarantine, segments
from steelyard.store.differences import differences
from steelyard.store.files import RunLock, publish, write_file, writing
from steelyard.store.journal import NAME, Journal
from steelyard.store.privacy import scrub_tree
from steelyard.store.reader import MANIFEST, read_manifest


class RunWriter:
    """The one writer of a run: `begin_segment`, then `launch` and `result` as they happen, then `finish`.

    Every call is durable when it returns. Strings are scrubbed of this machine's names on the way
    (see `steelyard.store.privacy`). As a context manager it releases the run at the end; a segment
    that was not finished stays as a journal and is recovered by the next reader.
    """

    def __init__(self, path: Path, lock: RunLock, next_index: int) -> None:
        self.path = path
        self._lock = lock
        self._index = next_index
        self._journal: Journal | None = None
        self._seen: set[tuple[str, str, str]] = set()

    def begin_segment(self, *, started_utc: str, noise: Noise) -> int:
        """Open a segment; `noise` is the preflight's verdict. Returns its index."""
        if self._journal is not None:
            raise StoreError(f"{self.path}: segment {self._index} is still open")
        opened = segments.directory(self.path, self._index, open_=True)
        with writing(opened):
            opened.mkdir()
        self._journal = Journal(opened / NAME)
        head = {"index": self._index, "started_utc": started_utc, "noise": codec.to_plain(noise)}
        self._append("segment", {"schema_version": SCHEMA_VERSION, **head})
        return self._index

    def launch(self, record: LaunchRecord) -> None:
        """Append a launch that has ended."""
        self._append("launch", codec.to_plain(record))

    def result(self, result: Result) -> None:
        """Append the outcome of a case in a launch. A launch has one result per case."""
        key = (result.launch, result.arm, result.case_id)
        if key in self._seen:
            raise StoreError(f"{self.path}: launch {result.launch} has two results of case {result.case_id}")
        for entry in result.measurements:
            if len(entry.starts_s) not in (0, len(entry.samples)):
                raise StoreError(
                    f"{self.path}: launch {result.launch}, case {result.case_id}, {entry.metric}: "
                    f"{len(entry.samples)} samples but {len(entry.starts_s)} starts"
                )
        self._seen.add(key)
        self._append("result", codec.to_plain(result))

    def finish(
        self,
        *,
        ended: str,
        rounds: Sequence[int],
        noise: Noise | None = None,
        supervisor: Mapping[str, Reading] | None = None,
        disturbed: Mapping[int, str] | None = None,
        turns: str = "",
        groups: str = "",
    ) -> None:
        """End the segment and publish it. `rounds` are the whole ones; `noise` replaces the preflight's verdict."""
        end = {"ended": ended, "rounds": list(rounds), "supervisor": codec.to_plain(dict(supervisor or {}))}
        end["disturbed"] = codec.to_plain(dict(disturbed or {}))
        end["turns"], end["groups"] = turns, groups
        if noise is not None:
            end["noise"] = codec.to_plain(noise)
        self._append("end", end)
        self._close_journal()
        segments.publish_open(self.path, self._index, [])
        self._index += 1

    def close(self) -> None:
        """Let another process write this run. May be called twice."""
        self._close_journal()
        self._lock.release()

    def _append(self, event: str, value: object) -> None:
        if self._journal is None:
            raise StoreError(f"{self.path}: no segment is open")
        self._journal.append(event, scrub_tree(value))

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def prepare_root(root: Path) -> None:
    """Make the folder of runs and try it, so that a long run does not fail at its end. Raises StoreError."""
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass


def create_run(root: Path, manifest: Manifest) -> RunWriter:
    """Make `root/<run_id>` with its manifest and the lock held. Raises StoreError if it exists or cannot be written."""
    final = root / manifest.run_id
    if final.exists():
        raise StoreError(f"{final}: exists already; use --resume to go on with it")
    data = _document(manifest)
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
        built = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
    try:
        lock = RunLock(built)
        with writing(final):
            built.chmod(0o755)
            write_file(built / MANIFEST, data)
            publish(built, final)
    except BaseException:
        shutil.rmtree(built, ignore_errors=True)
        raise
    return RunWriter(final, lock, 0)


def _document(manifest: Manifest) -> bytes:
    """The manifest as stored. Raises StoreError if it would not come back as the same cases: results refer to their
    ids, which hash the definitions (an integer in a field of floats, or a path under the home, would change them)."""
    data = codec.dump(scrub_tree(codec.to_plain(manifest))) + b"\n"
    back = codec.from_plain(codec.load(data, MANIFEST), Manifest, MANIFEST)
    for case, again in zip(manifest.cases, back.cases, strict=True):
        if case.id != again.id:
            raise StoreError(
                f"case {case.backend.text} {case.point.title}: its definition does not survive storing "
                f"(id {case.id} becomes {again.id}); it must hold exact JSON types and no path under your home"
            )
    return data


def resume(path: Path, manifest: Manifest | None = None) -> RunWriter:
    """Open a stored run to append a segment. Journals left by a killed supervisor are published first.

    `manifest` is what would be run now; where its plan or the versions that matter differ from the
    stored ones the run is refused and every difference named: the rounds could not be pooled.
    """
    stored = read_manifest(path)
    if manifest is not None and (found := differences(stored, manifest)):
        raise StoreError(f"{path}: cannot be resumed, start a new run: " + "; ".join(found))
    lock = RunLock(path)
    try:
        present = segments.found(path)
        for index, published in present.items():
            if published:
                segments.discard_open(path, index)
            else:
                segments.publish_open(path, index, [])
    except BaseException:
        lock.release()
        raise
    taken = [*present, *quarantine.lying_in(path).values()]
    return RunWriter(path, lock, max(taken, default=-1) + 1)
