"""Versions of the stored documents: newer ones are refused, older ones migrated, foreign ones named."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from steelyard.core.errors import StoreError
from steelyard.core.run import SCHEMA_VERSION
from steelyard.store import codec

Migration = Callable[[str, Any], Any]

# From version n to n + 1: a pure function of a document's kind (`manifest`, `segment`, `launch`,
# `result`) and its JSON values. Empty while there is one version.
MIGRATIONS: Mapping[int, Migration] = {}


def read_document(path: Path, kind: str) -> tuple[dict[str, Any], int]:
    """The JSON object in a file, migrated, and the version it was stored in. Raises StoreError naming the file."""
    value = codec.load(read_bytes(path), str(path))
    if not isinstance(value, dict):
        raise StoreError(f"{path}: not a {kind} of a steelyard run: it holds no JSON object")
    version = check_version(value.get("schema_version"), str(path))
    return migrated(value, kind, version), version


def read_bytes(path: Path) -> bytes:
    """A file's bytes. Raises StoreError naming it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error


def check_version(version: Any, where: str) -> int:
    """The schema version if this program can read it. Raises StoreError."""
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise StoreError(f"{where}: not written by steelyard: it has no schema_version")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{where}: written by a newer steelyard (schema {version}; this one reads up to {SCHEMA_VERSION}): "
            "upgrade with pip install --upgrade steelyard"
        )
    return version


def migrated(value: Any, kind: str, version: int) -> Any:
    """The document in today's schema."""
    for step in range(version, SCHEMA_VERSION):
        value = MIGRATIONS[step](kind, value)
    return value
