"""Entries of the cache as data: what their `entry.json` says, and what is wrong with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from steelyard.core.hashing import stable_hash

Kind = Literal["weights", "programs", "points"]
KINDS: tuple[Kind, ...] = ("weights", "programs", "points")
MANIFEST = "entry.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFile:
    """A file of an entry, as it was when the entry was made."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryManifest:
    """What `entry.json` holds. `facts` is whatever the builder wants to know again; `made_with` names versions."""

    label: str
    made_with: Mapping[str, str]
    files: Mapping[str, CachedFile]
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A whole entry of the cache; `fresh` if it was made just now and not found."""

    kind: Kind
    key: str
    path: Path
    manifest: EntryManifest
    fresh: bool = False

    @property
    def sha256(self) -> str:
        """One digest over the names and contents of all files."""
        return stable_hash({name: file.sha256 for name, file in self.manifest.files.items()})

    @property
    def used_at_s(self) -> float:
        """Unix time of the last use."""
        return (self.path / MANIFEST).stat().st_mtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """What is wrong with an entry: it is damaged, or only `closed` to this user."""

    reason: str
    closed: bool = False


def size_bytes(entries: list[Entry]) -> int:
    """The space that entries take together; a file with several names (hard links) counts once."""
    sizes: dict[tuple[int, int], int] = {}
    for entry in entries:
        for name in (*entry.manifest.files, MANIFEST):
            stat = (entry.path / name).stat()
            sizes[stat.st_dev, stat.st_ino] = stat.st_size
    return sum(sizes.values())
