"""Stable hashes: the same definition gives the same digest on every machine and Python version."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

_CHUNK = 1 << 22


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no white space; dataclasses become objects. Non-finite numbers are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)


def stable_hash(value: Any, length: int = 64) -> str:
    """The first `length` hex digits of the sha256 over `canonical_json(value)`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} has no canonical form")
