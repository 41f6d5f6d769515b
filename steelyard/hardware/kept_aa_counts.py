"""The newest counts of A/A comparisons of this machine, kept outside any run so that later runs can carry them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard import wire
from steelyard.core.aa_counts import AaCounts
from steelyard.core.errors import Denied, StoreError
from steelyard.hardware.machine import machine_key
from steelyard.lowering.cache import cache_root

_FOLDER = "shams"


def keep(counts: AaCounts) -> Path:
    """Store the counts as this machine's newest of their condition and protocol; returns the file. Raises StoreError.

    Of the same versions a larger campaign stays: a short one afterwards tells less.
    """
    path = _path(counts.machine_key, counts.condition, turns=counts.in_turns)
    if not _outweighed(path, counts):
        write(path, counts)
    return path


def newest(environment: Mapping[str, Any], *, turns: bool) -> AaCounts | None:
    """The counts of the quiet condition for the machine of this fingerprint, with launches that took turns or such that
    ran one after the other; None if that was never measured.

    Raises StoreError if the file is damaged.
    """
    path = _path(machine_key(environment), "quiet", turns=turns)
    return wire.read(path, AaCounts) if path.is_file() else None


def write(path: Path, counts: AaCounts) -> None:
    """One JSON file, there at once or not at all. Raises StoreError."""
    wire.write(path, counts)


def _outweighed(path: Path, counts: AaCounts) -> bool:
    try:
        there = wire.read(path, AaCounts)
    except Denied:
        raise
    except StoreError:  # none yet, or damaged: then it is replaced
        return False
    same = (there.versions, there.tool_version) == (counts.versions, counts.tool_version)
    return same and there.all.comparisons > counts.all.comparisons


def _path(key: str, condition: str, *, turns: bool) -> Path:
    return cache_root() / _FOLDER / f"{key}-{condition}{'-in-turns' if turns else ''}.json"
