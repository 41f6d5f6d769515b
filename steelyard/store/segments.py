"""Segments on disk: a journal while they are written, an immutable directory of files afterwards.

segment-000.open/journal.jsonl                     while running, or left by a killed supervisor
segment-000/{segment.json,launches.jsonl,results.jsonl,samples.parquet}     published, never edited
"""

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steelyard.core.errors import StoreError
from steelyard.core.hashing import file_sha256
from steelyard.core.result import LaunchRecord, Result
from steelyard.core.run import SCHEMA_VERSION, Noise, Segment
from steelyard.guard.contamination import contaminated_rounds
from steelyard.guard.grades import graded_at_end
from steelyard.store import codec, journal, lines, samples, schema
from steelyard.store.files import publish, sync, write_file, writing

MANIFEST = "manifest.json"
SEGMENT, LAUNCHES, RESULTS = "segment.json", "launches.jsonl", "results.jsonl"
FILES = (LAUNCHES, RESULTS, samples.NAME)
_NAME = re.compile(r"^segment-(\d{3,})(\.open)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentData:
    """A segment with everything measured in it."""

    segment: Segment
    launches: tuple[LaunchRecord, ...]
    results: tuple[Result, ...]


def directory(run: Path, index: int, *, open_: bool = False) -> Path:
    """Where a segment lies, published or still open."""
    return run / f"segment-{index:03d}{'.open' if open_ else ''}"


def found(run: Path) -> dict[int, bool]:
    """The segments of a run by index: True where published, False where only a journal is there."""
    segments: dict[int, bool] = {}
    for path in run.iterdir():
        if match := _NAME.match(path.name):
            index = int(match[1])
            segments[index] = segments.get(index, False) or match[2] is None
    return dict(sorted(segments.items()))


def ends(run: Path) -> tuple[str, ...]:
    """How each segment of a run ended, by what its own document says; empty for one that is not published."""
    return tuple(
        schema.read_document(directory(run, index) / SEGMENT, "segment")[0]["segment"]["ended"] if published else ""
        for index, published in found(run).items()
    )


def ended_by_itself(run: Path) -> bool:
    """Whether the last segment of a run is published and was not cut off."""
    told = ends(run)
    return bool(told) and told[-1] not in ("", "interrupted", "recovered")


def own_files(run: Path) -> tuple[str, ...]:
    """The files that make up a run, by their names in it: the manifest, and of each segment its own or its journal."""
    names = [MANIFEST]
    for index, published in found(run).items():
        base = directory(run, index, open_=not published).name
        names += [f"{base}/{name}" for name in ((SEGMENT, *FILES) if published else (journal.NAME,))]
    return tuple(names)


def repeated(found: Iterable[tuple[str, Iterable[int]]]) -> Iterator[tuple[str, str]]:
    """The segments, of those named here with their rounds, that hold a warm round which one before them holds, and what
    is to be said of it: launches of two segments would be taken for one round."""
    holders: dict[int, str] = {}
    for name, rounds in found:
        warm = [number for number in rounds if number > 0]
        if twice := [number for number in warm if number in holders]:
            yield name, f"round {twice[0]} stands in {holders[twice[0]]} as well: {len(twice)} rounds would count twice"
        holders |= {number: name for number in warm if number not in holders}


def read_open(run: Path, index: int, notes: list[str]) -> SegmentData | None:
    """A segment out of its journal; None if its writer ended before the first line was whole.

    Without an `end` it is `recovered`, and its rounds are those known to be whole.
    """
    path = directory(run, index, open_=True) / journal.NAME
    head: dict[str, Any] | None = None
    end: dict[str, Any] | None = None
    launches: list[LaunchRecord] = []
    results: list[Result] = []
    version = 1
    for event, value in journal.events(path, notes):
        if event == "segment" and isinstance(value, dict):
            version = schema.check_version(value.get("schema_version"), str(path))
            head = value
        elif head is None:
            raise StoreError(f"{path}: does not begin with a segment's header")
        elif event == "launch":
            launches.append(codec.from_plain(schema.migrated(value, event, version), LaunchRecord, str(path)))
        elif event == "result":
            results.append(_result(schema.migrated(value, event, version), str(path)))
        elif event == "end":
            end = value
        else:
            raise StoreError(f"{path}: unknown event '{event}'")
    if head is None:
        notes.append(f"segment {index} ended before anything was measured")
        return None
    if end is None:
        notes.append(f"segment {index} was not finished: its whole rounds count, all its results are kept")
        whole = whole_rounds(results)
        end = {"ended": "recovered", "rounds": whole, "supervisor": {}, **_noise_of(head, launches, whole, str(path))}
    fields = {name: value for name, value in {**head, **end}.items() if name != "schema_version"}
    segment = codec.from_plain(schema.migrated(fields, "segment", version), Segment, str(path))
    return SegmentData(segment=segment, launches=tuple(launches), results=tuple(results))


def whole_rounds(results: list[Result]) -> list[int]:
    """The rounds known to be whole: those after which another began, and the last one if nothing of the
    round before it is missing. Rounds run one after another, so the order in the journal tells. Of the first round in
    groups only the next one tells, since the cold round before it has no groups."""
    rounds: dict[int, set[tuple[str, str, int]]] = {}
    for result in results:
        if result.stage not in ("plan", "lower"):
            rounds.setdefault(result.round, set()).add((result.arm, result.case_id, result.group))
    numbers = list(rounds)
    if len(numbers) < 2:
        return []
    last = [numbers[-1]] if rounds[numbers[-1]] >= rounds[numbers[-2]] else []
    return numbers[:-1] + last


def _noise_of(head: Mapping[str, Any], launches: list[LaunchRecord], whole: list[int], where: str) -> dict[str, Any]:
    """The grade and the contaminated rounds of a segment whose writer never came to say them."""
    noise = graded_at_end(codec.from_plain(head.get("noise"), Noise, where), launches)
    contaminated = {number: told for number, told in contaminated_rounds(launches).items() if number in whole}
    return {"noise": codec.to_plain(noise), "disturbed": codec.to_plain(contaminated)}


def publish_open(run: Path, index: int, notes: list[str]) -> None:
    """Turn an open segment into a published one; an empty one is removed.

    A crash at any point leaves the one or the other whole.
    """
    data = read_open(run, index, notes)
    if data is None:
        discard_open(run, index)
        return
    opened = directory(run, index, open_=True)
    publish_data(run, data, f"everything measured is in {opened / journal.NAME}; resume the run to publish it")
    discard_open(run, index)


def publish_data(run: Path, data: SegmentData, safe: str = "") -> None:
    """Write a whole segment beside its final name and rename it. `safe` is what an error says is not lost."""
    final = directory(run, data.segment.index)
    with writing(final, safe):
        built = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=run))
        try:
            built.chmod(0o755)
            _write(built, data, file_sha256(run / MANIFEST))
            publish(built, final)
        except BaseException:
            shutil.rmtree(built, ignore_errors=True)
            raise


def discard_open(run: Path, index: int) -> None:
    """Remove the journal of a segment that is published or empty."""
    opened = directory(run, index, open_=True)
    if opened.exists():
        with writing(opened, "the segment itself is published and whole"):
            shutil.rmtree(opened)


def read_published(run: Path, index: int, *, brief: bool = False) -> SegmentData:
    """A published segment; every file is held against its hash first. `brief` as in `lines.read_results`."""
    base = directory(run, index)
    document, version = check_files(run, index)
    segment = codec.from_plain(document.get("segment"), Segment, str(base / SEGMENT))
    reader = samples.SampleReader(base / samples.NAME)
    with lines.uncollected():
        launches = lines.read_launches(base / LAUNCHES, version)
        results = lines.read_results(base / RESULTS, version, reader, brief=brief)
    reader.end()
    return SegmentData(segment=segment, launches=launches, results=results)


def check_files(run: Path, index: int) -> tuple[dict[str, Any], int]:
    """Hold the files of a published segment against their hashes; returns its document, and the version of that."""
    document, version = schema.read_document(directory(run, index) / SEGMENT, "segment")
    if problem := next(wrong_files(run, index, document), ""):
        raise StoreError(f"{problem}; bench store verify names all damage")
    return document, version


def wrong_files(run: Path, index: int, document: Mapping[str, Any]) -> Iterator[str]:
    """Every file of a published segment, and the manifest, that is not what its segment.json (`document`) says.

    One sentence each, the path first.
    """
    base = directory(run, index)
    files = document.get("files")
    if not isinstance(files, Mapping) or set(files) != set(FILES):
        yield f"{base / SEGMENT}: 'files' must name exactly {', '.join(FILES)}"
        return
    expected = {base / name: files[name] for name in FILES} | {run / MANIFEST: document.get("manifest_sha256")}
    for path, digest in expected.items():
        try:
            actual = file_sha256(path)
        except OSError as error:
            yield f"{path}: cannot be read: {error.strerror}"
            continue
        if actual != digest:
            yield f"{path}: damaged or edited: its sha256 is {actual[:12]}…, segment.json says {str(digest)[:12]}…"


def _write(base: Path, data: SegmentData, manifest_sha256: str) -> None:
    write_file(base / LAUNCHES, b"".join(codec.dump(codec.to_plain(record)) + b"\n" for record in data.launches))
    with samples.SampleWriter(base / samples.NAME) as writer:
        written = [codec.dump(samples.split(result, writer)) + b"\n" for result in data.results]
    sync(base / samples.NAME)
    write_file(base / RESULTS, b"".join(written))
    document = {
        "schema_version": SCHEMA_VERSION,
        "segment": codec.to_plain(data.segment),
        "manifest_sha256": manifest_sha256,
        "files": {name: file_sha256(base / name) for name in FILES},
    }
    write_file(base / SEGMENT, codec.dump(document) + b"\n")


def _result(value: Any, where: str) -> Result:
    result = codec.from_plain(value, Result, where)
    fixed = (
        replace(entry, samples=tuple(entry.samples), starts_s=tuple(entry.starts_s)) for entry in result.measurements
    )
    return replace(result, measurements=tuple(fixed))  # lists come out of JSON; what is stored never changes
