"""Damaged parts of a run set aside, so that the rest can be read: moved, never deleted, with the reason beside them.

RUN/quarantine/segment-001            a damaged segment; the other segments count
RUN/quarantine/segment-001.json       when it was moved and what was found
ROOT/quarantine/RUN_ID                a run whose manifest is damaged: nothing of it can be read without it
"""

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from steelyard import wire
from steelyard.core.errors import StoreError
from steelyard.store.damage import Damage
from steelyard.store.files import RunLock, sync, write_file, writing

FOLDER = "quarantine"
_SEGMENT = re.compile(r"^segment-(\d{3,})")
_ROUND = re.compile(rb'"rounds?"\s*:\s*\[?((?:\s*\d{1,9},?)+)')


def set_aside(root: Path, run: Path, findings: Sequence[Damage], now: datetime | None = None) -> tuple[Path, ...]:
    """Move what the findings name out of the way; returns where it lies now.

    Raises StoreError if the run is being written, or if it cannot be moved.
    """
    if run.is_symlink():
        raise StoreError(f"{run}: a link is not moved; remove it, or verify the folder it points to")
    parts = sorted({finding.file.split("/")[0] for finding in findings})
    with RunLock(run):
        if not all(part.startswith("segment-") for part in parts):
            return (_moved(run, root / FOLDER, findings, now),)
        return tuple(
            _moved(run / part, run / FOLDER, [item for item in findings if item.file.split("/")[0] == part], now)
            for part in parts
        )


def lying_in(run: Path) -> dict[str, int]:
    """The parts of a run that were set aside, by name, with the index of the segment that each was."""
    folder = run / FOLDER
    if not folder.is_dir():
        return {}
    found = {path.name: _SEGMENT.match(path.name) for path in sorted(folder.iterdir()) if path.is_dir()}
    return {name: int(match[1]) for name, match in found.items() if match}


def last_round(run: Path) -> int:
    """The highest number of a round in what was set aside, 0 without any: later rounds have other numbers, so that a
    whole copy can come back. The files are damaged: whatever in them reads like a round counts."""
    files = [path for name in lying_in(run) for path in (run / FOLDER / name).rglob("*.json*") if path.is_file()]
    found = [match for path in files for match in _ROUND.findall(path.read_bytes())]
    return max((int(number) for match in found for number in re.findall(rb"\d+", match)), default=0)


def _moved(part: Path, folder: Path, findings: Sequence[Damage], now: datetime | None) -> Path:
    """One part moved into a folder under a name that is free there, its reason written first."""
    with writing(folder):
        folder.mkdir(exist_ok=True)
        names = (part.name if count == 0 else f"{part.name}-{count}" for count in range(1_000_000))
        place = next(folder / name for name in names if not os.path.lexists(folder / name))
        document = {
            "quarantined_utc": (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "was": part.name,
            "findings": findings,
        }
        reason = folder / f"{place.name}.json"
        reason.unlink(missing_ok=True)
        write_file(reason, wire.encode(document) + b"\n")
        part.rename(place)
        sync(folder)
    return place
