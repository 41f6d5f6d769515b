"""Reading a run back: its manifest and its segments, published or left as a journal."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from steelyard.core.case import Case
from steelyard.core.errors import StoreError
from steelyard.core.run import SCHEMA_VERSION, Manifest, Run
from steelyard.core.workload import Point
from steelyard.lowering import named_drivers
from steelyard.store import codec, quarantine, schema, segments
from steelyard.store.seal import run_digest
from steelyard.store.shared import Shared, decoder, mirror

MANIFEST = segments.MANIFEST


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run with where it lies and what its reader has to say: torn lines left out, segments recovered."""

    path: Path
    run: Run
    notes: tuple[str, ...]


def open_run(path: Path) -> Run:
    """The run stored in a directory. Raises StoreError naming the damaged or foreign file."""
    return read_run(path).run


def read_run(path: Path, *, brief: bool = False) -> StoredRun:
    """Like `open_run`, with the notes. A segment that another process is writing is read as far as it is.

    A `brief` run holds outcomes and times; what else results say (`lines.BESIDES`: proof, correctness, memory, ...)
    is not read, and must not be asked for.
    """
    manifest = read_manifest(path)
    found = segments.found(path)
    notes = [_damaged(name, replaced=found.get(index, False)) for name, index in quarantine.lying_in(path).items()]
    parts = []
    for index, published in found.items():
        if published:
            parts.append(segments.read_published(path, index, brief=brief))
        elif (recovered := segments.read_open(path, index, notes)) is not None:
            parts.append(recovered)
    for name, problem in segments.repeated((f"segment-{each.segment.index:03}", each.segment.rounds) for each in parts):
        raise StoreError(f"{path / name}: {problem}; bench store verify --quarantine sets it aside")
    run = Run(
        manifest=manifest,
        segments=tuple(part.segment for part in parts),
        launches=tuple(record for part in parts for record in part.launches),
        results=tuple(result for part in parts for result in part.results),
        digest=run_digest(path),
    )
    return StoredRun(path=path, run=run, notes=tuple(notes))


def _damaged(name: str, *, replaced: bool) -> str:
    """What is said of a segment that was set aside; a whole one may have been merged in from another place since."""
    told = f"{name} was damaged and lies in {quarantine.FOLDER}/, {name}.json there says why: "
    return told + ("a whole one took its place and counts" if replaced else "its rounds do not count")


def read_manifest(path: Path) -> Manifest:
    """The manifest of the run in a directory. Raises StoreError."""
    if not path.is_dir():
        raise StoreError(f"{path}: there is no such run; see bench list runs")
    if not (path / MANIFEST).is_file():
        raise StoreError(f"{path}: not a steelyard run: it has no {MANIFEST}")
    where, stored = path / MANIFEST, _manifest(path)
    if stored.baseline not in [arm.label for arm in stored.arms]:
        raise StoreError(f"{where}: not a valid Manifest: its baseline is none of its arms")
    for driver in _drivers(stored):
        if not named_drivers.permitted(driver):
            raise StoreError(
                f"{where}: its calls are made by '{driver}', a module that the run names: nothing that a stored run "
                f"names is imported. If it is yours, set {named_drivers.VARIABLE}={driver}"
            )
    return stored


def drivers_of(path: Path) -> frozenset[str]:
    """The drivers that the run in a directory names, none of which is looked up. Raises StoreError."""
    return _drivers(_manifest(path))


def _drivers(manifest: Manifest) -> frozenset[str]:
    return frozenset(case.point.driver for case in manifest.cases)


def _manifest(path: Path) -> Manifest:
    where = path / MANIFEST
    stored = _at_once(schema.read_bytes(where))
    if stored is None:
        document, _ = schema.read_document(where, "manifest")
        stored = codec.from_plain(document, Manifest, str(where))
    return stored


def _at_once(data: bytes) -> Manifest | None:
    """The manifest, its points shared by the cases; None where it is of another schema, or must be looked at closer."""
    if codec.MARK in data:
        return None
    try:
        values = msgspec.structs.asdict(decoder(_stored_manifest()).decode(data))
        if bytes(values.pop("schema_version")) != str(SCHEMA_VERSION).encode():
            return None
        points = Shared(Point)
        cases = [msgspec.structs.asdict(case) for case in values["cases"]]
        values["cases"] = tuple(Case(**{**case, "point": points.value(bytes(case["point"]))}) for case in cases)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Manifest(**values)


@cache
def _stored_manifest() -> Any:
    """Manifest as the file has it: a point that several cases share is still text."""
    return mirror(Manifest, {"schema_version": msgspec.Raw, "cases": tuple[mirror(Case, {"point": msgspec.Raw}), ...]})  # type: ignore[misc]
