"""Reading a run back: its manifest and its segments, published or left as a journal."""

from dataclasses import dataclass
from pathlib import Path

from steelyard.core.errors import StoreError
from steelyard.core.run import Manifest, Run
from steelyard.store import codec, schema, segments

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run with where it lies and what its reader has to say: torn lines left out, segments recovered."""

    path: Path
    run: Run
    notes: tuple[str, ...]


def open_run(path: Path) -> Run:
    """The run stored in a directory. Raises StoreError naming the damaged or foreign file."""
    return read_run(path).run


def read_run(path: Path) -> StoredRun:
    """Like `open_run`, with the notes. A segment that another process is writing is read as far as it is."""
    manifest = read_manifest(path)
    notes: list[str] = []
    parts = []
    for index, published in segments.found(path).items():
        if published:
            parts.append(segments.read_published(path, index))
        elif (recovered := segments.read_open(path, index, notes)) is not None:
            parts.append(recovered)
    run = Run(
        manifest=manifest,
        segments=tuple(part.segment for part in parts),
        launches=tuple(record for part in parts for record in part.launches),
        results=tuple(result for part in parts for result in part.results),
    )
    return StoredRun(path=path, run=run, notes=tuple(notes))


def read_manifest(path: Path) -> Manifest:
    """The manifest of the run in a directory. Raises StoreError."""
    if not path.is_dir():
        raise StoreError(f"{path}: there is no such run; see bench list runs")
    if not (path / MANIFEST).is_file():
        raise StoreError(f"{path}: not a steelyard run: it has no {MANIFEST}")
    document, _ = schema.read_document(path / MANIFEST, "manifest")
    return codec.from_plain(document, Manifest, str(path / MANIFEST))
