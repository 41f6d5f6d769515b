"""The newest counts of sham comparisons of this machine, kept outside any run so that later runs can carry them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard import wire
from steelyard.core.errors import Denied, StoreError
from steelyard.core.shams import Shams
from steelyard.hardware.machine import machine_key
from steelyard.lowering.cache import cache_root

_FOLDER = "shams"


def keep(shams: Shams) -> Path:
    """Store the counts as this machine's newest of their condition and protocol; returns the file. Raises StoreError.

    Of the same versions a larger campaign stays: a short one afterwards tells less.
    """
    path = _path(shams.machine_key, shams.condition, turns=shams.in_turns)
    if not _outweighed(path, shams):
        write(path, shams)
    return path


def newest(environment: Mapping[str, Any], *, turns: bool) -> Shams | None:
    """The counts of the quiet condition for the machine of this fingerprint, with launches that took turns or such that
    ran one after the other; None if that was never measured.

    Raises StoreError if the file is damaged.
    """
    path = _path(machine_key(environment), "quiet", turns=turns)
    return wire.read(path, Shams) if path.is_file() else None


def write(path: Path, shams: Shams) -> None:
    """One JSON file, there at once or not at all. Raises StoreError."""
    wire.write(path, shams)


def _outweighed(path: Path, shams: Shams) -> bool:
    try:
        there = wire.read(path, Shams)
    except Denied:
        raise
    except StoreError:  # none yet, or damaged: then it is replaced
        return False
    same = (there.versions, there.tool_version) == (shams.versions, shams.tool_version)
    return same and there.all.comparisons > shams.all.comparisons


def _path(key: str, condition: str, *, turns: bool) -> Path:
    return cache_root() / _FOLDER / f"{key}-{condition}{'-in-turns' if turns else ''}.json"
