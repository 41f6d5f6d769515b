"""Everything that is wrong with a stored run, as data: no file is believed, and none stops the look at the others."""

from collections.abc import Iterator
from pathlib import Path

from steelyard.core.errors import StoreError
from steelyard.store import samples, schema, segments
from steelyard.store.damage import Damage
from steelyard.store.reader import MANIFEST, read_manifest
from steelyard.store.segments import SegmentData


def check_run(path: Path) -> tuple[Damage, ...]:
    """What is damaged, missing, linked or out of place in a run; empty if all of it reads back. Raises no StoreError.

    Each file is held against its hash, each document and line against its schema, and the samples against the
    results they belong to. An open segment is read as far as it is whole: a torn last line is no finding.
    """
    if path.is_symlink() or not path.is_dir():
        return (Damage(file=".", problem="not a run: a folder is expected here"),)
    return tuple(_findings(path))


def _findings(run: Path) -> Iterator[Damage]:
    try:
        yield from _links(run)
        present = segments.found(run)
    except OSError as error:
        yield Damage(file=".", problem=f"cannot be read: {error.strerror}")
        return
    try:
        read_manifest(run)
    except StoreError as error:
        yield damage_from(run, error, MANIFEST)
    whole = []
    for index, published in present.items():
        wrong = list(_published(run, index) if published else _open(run, index))
        yield from wrong
        if published and not wrong:
            document, _ = schema.read_document(segments.directory(run, index) / segments.SEGMENT, "segment")
            whole.append((segments.directory(run, index).name, document["segment"]["rounds"]))
    for name, problem in segments.repeated(whole):
        yield Damage(file=name, problem=problem)


def damage_from(run: Path, error: StoreError, file: str) -> Damage:
    """An error as a finding: about the file that it names within the run, else about `file`."""
    text = str(error)
    name, separator, problem = text.removeprefix(f"{run}/").partition(": ")
    inside = text.startswith(f"{run}/") and bool(separator)
    name, comma, place = name.partition(", ")
    if not inside:
        return Damage(file=file, problem=text.removeprefix(f"{run}: "))
    return Damage(file=name, problem=f"{place}: {problem}" if comma else problem)


def _links(run: Path) -> Iterator[Damage]:
    """What a run never holds: links in place of its own files. Strangers among them are no damage."""
    for entry in [run / MANIFEST, *run.iterdir()]:
        if entry.is_symlink() and (entry.name == MANIFEST or entry.name.startswith("segment-")):
            yield Damage(file=entry.name, problem="a link: a run holds its files itself")
    for index, published in segments.found(run).items():
        base = segments.directory(run, index)
        if not published or base.is_symlink() or not base.is_dir():
            continue
        for entry in sorted(base.iterdir()):
            name = f"{base.name}/{entry.name}"
            if entry.name not in (segments.SEGMENT, *segments.FILES):
                continue
            if entry.is_symlink() or not entry.is_file():
                yield Damage(file=name, problem="not a file: a segment holds its files itself")


def _published(run: Path, index: int) -> Iterator[Damage]:
    base = segments.directory(run, index)
    try:
        document, _ = schema.read_document(base / segments.SEGMENT, "segment")
        damaged = [
            damage_from(run, StoreError(problem), base.name) for problem in segments.wrong_files(run, index, document)
        ]
        if damaged:
            yield from damaged
            return
        data = segments.read_published(run, index)
        yield from _misplaced(base, data)
    except StoreError as error:
        yield damage_from(run, error, base.name)


def _open(run: Path, index: int) -> Iterator[Damage]:
    try:
        segments.read_open(run, index, [])
    except StoreError as error:
        yield damage_from(run, error, segments.directory(run, index, open_=True).name)


def _misplaced(base: Path, data: SegmentData) -> Iterator[Damage]:
    """Columns of the samples that tell another story than the results: a query would differ from a report."""
    measured = [(result, entry) for result in data.results for entry in result.measurements]
    counts = [len(entry.samples) for _, entry in measured]
    table = samples.read_columns(base / samples.NAME, samples.KEYS, [name for name in samples.KEYS if name != "round"])
    for name in samples.KEYS:
        values = [getattr(entry if name in ("metric", "layer") else result, name) for result, entry in measured]
        kind = samples.arrow_schema().field(name).type
        if not table[name].cast(kind).combine_chunks().equals(samples.repeated(values, counts, kind)):
            text = f"its column {name} says something else than results.jsonl"
            yield Damage(file=f"{base.name}/{samples.NAME}", problem=text)
