"""Stable hashes: the same definition gives the same digest on every machine and Python version."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

_CHUNK = 1 << 22
_LATER = "later"


def later(default: Any) -> Any:
    """A field that definitions got after some had been stored: at its default it stays out of hashes, so that what was
    defined without it keeps its own."""
    return dataclasses.field(default=default, metadata={_LATER: True})


class Remembers:
    """A frozen definition that keeps its hash: computing it costs more than most of what is done with it.

    What is kept is no field: it takes no part in equality, `replace`, JSON or pickles.
    """

    __slots__ = ("_remembered",)
    _remembered: str

    def remember(self, compute: Callable[[], str]) -> str:
        """What `compute` gave the first time."""
        try:
            return self._remembered
        except AttributeError:
            object.__setattr__(self, "_remembered", compute())
            return self._remembered


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
        values = ((field, getattr(value, field.name)) for field in _fields(type(value)))
        return {field.name: held for field, held in values if _LATER not in field.metadata or held != field.default}
    raise TypeError(f"{type(value).__name__} has no canonical form")


@cache
def _fields(kind: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(kind)
