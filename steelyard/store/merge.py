"""Runs of several folders brought into one: nothing is overwritten, and the order does not matter.

A run is its manifest and a set of published segments, none of which ever changes. So the union of what two places
know of a run is that run, unless they hold unlike files under one name: then they are two runs with one id, and
nothing at all is merged.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from steelyard.core.errors import StoreError, UsageError
from steelyard.core.folders import TRACES
from steelyard.core.hashing import file_sha256
from steelyard.store import schema, segments
from steelyard.store.catalog import run_folders, runs_once
from steelyard.store.check import check_run
from steelyard.store.files import RunLock, publish, sync, write_file, writing
from steelyard.store.reader import MANIFEST, read_manifest
from steelyard.store.strangers import strangers

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What a merge did with one run: the segments that were `added` (names; all of them for a new run).

    `left_out` are segments that no place has published yet, `strangers` the paths of what lay in a run and is none of
    its files.
    """

    run_id: str
    path: Path
    new: bool
    added: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    """What all places together know of one run: each file with its sha256 and the places that hold it."""

    files: dict[str, str] = field(default_factory=dict)
    places: dict[str, Path] = field(default_factory=dict)
    unfinished: set[str] = field(default_factory=set)
    strangers: list[str] = field(default_factory=list)


def merge(root: Path, sources: Sequence[Path]) -> tuple[Merged, ...]:
    """Bring every run under `sources` (runs, or folders of runs) to `root`; runs by id.

    All are checked first, and nothing is written if any is damaged or unlike what another place holds under its id:
    StoreError names each. Every copy is held against its hash before it gets its name. A merge that was cut off
    leaves whole runs and segments only, and goes on when it is repeated.
    """
    here = _here(root)
    known: dict[str, _Known] = {}
    problems: list[str] = []
    for path in dict.fromkeys(path for source in sources for path in _found(source)):
        wrong = [f"{path / item.file}: {item.problem}" for item in check_run(path)]
        problems += wrong or _join(known, here, path)
    if problems:
        raise StoreError("nothing was merged: " + "; ".join(problems))
    with ExitStack() as staged, writing(root, "no run is half there; merge again"):
        root.mkdir(parents=True, exist_ok=True)
        plans = [_stage(root, run_id, here.get(run_id), entry, staged) for run_id, entry in sorted(known.items())]
        for _, renames in plans:
            for built, final in renames:
                publish(built, final)
    return tuple(merged for merged, _ in plans)


def _found(source: Path) -> list[Path]:
    if (source / MANIFEST).is_file():
        return [source]
    runs = list(run_folders(source))
    if not runs:
        raise UsageError(f"{source}: neither a run nor a folder of runs")
    return runs


def _here(root: Path) -> dict[str, Path]:
    """The runs at the place itself, by id. One that cannot be read is none; its name is not free all the same."""
    found = {}
    for path in runs_once(root):
        try:
            found[read_manifest(path).run_id] = path
        except StoreError:
            continue
    return found


def _join(known: dict[str, _Known], here: Mapping[str, Path], path: Path) -> Iterator[str]:
    """Add what a place knows of a run; yields what contradicts the others."""
    run_id = read_manifest(path).run_id
    if not _ID.fullmatch(run_id):
        yield f"{path}: '{run_id[:80]}' is no name for a run"
        return
    if run_id not in known:
        known[run_id] = _Known()
        if run_id in here:
            _add(known[run_id], here[run_id], _contents(here[run_id]))
    entry, contents = known[run_id], _contents(path)
    unlike = [name for name, digest in contents.items() if entry.files.get(name, digest) != digest]
    for name in unlike[:1]:
        yield f"{path / name} and {entry.places[name] / name} differ, and both are of run {run_id}"
    _add(entry, path, contents)
    documents = [name for name in sorted(entry.files) if name.endswith(f"/{segments.SEGMENT}")]
    places = [entry.places[name] / name for name in documents]
    read = [schema.read_document(place, "segment")[0] for place in places]
    rounds = ((str(place.parent), found["segment"]["rounds"]) for place, found in zip(places, read, strict=True))
    for where, problem in segments.repeated(rounds):
        yield f"{where}: {problem}"
    entry.strangers.extend(str(path / name) for name in (*strangers(path), *_recordings(path)))


def _add(entry: _Known, path: Path, contents: Mapping[str, str]) -> None:
    for name, digest in contents.items():
        entry.files.setdefault(name, digest)
        entry.places.setdefault(name, path)
    entry.unfinished.update(
        segments.directory(path, index, open_=True).name
        for index, published in segments.found(path).items()
        if not published
    )


def _recordings(run: Path) -> Iterator[str]:
    """What a traced run keeps beside its segments, which is not brought along: its results hold what it comes to."""
    if (run / TRACES).is_dir():
        yield TRACES


def _contents(run: Path) -> dict[str, str]:
    """The published files of a run, by their name in it, with their sha256."""
    return {name: file_sha256(run / name) for name in segments.own_files(run) if ".open/" not in name}


def _stage(
    root: Path, run_id: str, present: Path | None, entry: _Known, staged: ExitStack
) -> tuple[Merged, list[tuple[Path, Path]]]:
    """Copy what is missing beside its place; returns the renames that make it count."""
    wanted = sorted({name.partition("/")[0] for name in entry.files if "/" in name})
    left_out = tuple(sorted(name for name in entry.unfinished if name.removesuffix(".open") not in wanted))
    if present is None:
        final = root / run_id
        if os.path.lexists(final):
            raise StoreError(f"{final}: is in the way, and is not run {run_id}; nothing was merged")
        built = _temporary(root, ".new-", staged)
        _copy(entry, list(entry.files), built)
        merged = Merged(
            run_id=run_id,
            path=final,
            new=True,
            added=tuple(wanted),
            left_out=left_out,
            strangers=tuple(entry.strangers),
        )
        return merged, [(built, final)]
    added = [name for name in wanted if not (present / name).is_dir()]
    renames = []
    if added:
        staged.enter_context(RunLock(present))
    for name in added:
        if os.path.lexists(present / f"{name}.open"):
            raise StoreError(
                f"{present / name}.open: not published yet, and {entry.places[f'{name}/{segments.SEGMENT}']} has a "
                "segment of that name; bench run --resume publishes it; nothing was merged"
            )
        built = _temporary(present, f".{name}-", staged)
        _copy(entry, [file for file in entry.files if file.startswith(f"{name}/")], built, name)
        renames.append((built, present / name))
    merged = Merged(
        run_id=run_id,
        path=present,
        new=False,
        added=tuple(added),
        left_out=left_out,
        strangers=tuple(entry.strangers),
    )
    return merged, renames


def _temporary(folder: Path, prefix: str, staged: ExitStack) -> Path:
    """A folder that is gone at the end unless it was renamed."""
    built = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    staged.callback(shutil.rmtree, built, ignore_errors=True)
    built.chmod(0o755)
    return built


def _copy(entry: _Known, names: Sequence[str], built: Path, within: str = "") -> None:
    """Copy files of a run into a folder, which stands for the run or for the part of it named `within`."""
    for name in names:
        data = (entry.places[name] / name).read_bytes()
        if hashlib.sha256(data).hexdigest() != entry.files[name]:
            raise StoreError(f"{entry.places[name] / name}: changed while it was copied; nothing was merged")
        target = built / Path(name).relative_to(within)
        target.parent.mkdir(exist_ok=True)
        write_file(target, data)
    for folder in {(built / Path(name).relative_to(within)).parent for name in names}:
        sync(folder)
