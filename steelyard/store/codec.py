"""Dataclasses to JSON lines and back without losing a bit: shortest round-trip floats, non-finite ones marked."""

import math
from typing import Any, TypeVar

import msgspec

from steelyard.core.errors import StoreError

T = TypeVar("T")
Json = Any

# JSON has no NaN and no infinity; the error of a wrong output may be either, and must not become null.
_MARK = "$float"
MARK = _MARK.encode()
"""What JSON text holds where a number in it is not finite."""


def to_plain(value: Any) -> Json:
    """A dataclass tree as JSON values. Tuples become lists, numpy scalars and arrays plain numbers."""
    return _marked(msgspec.to_builtins(value, enc_hook=_enc_hook, str_keys=True))


def from_plain(value: Json, kind: type[T], where: str) -> T:
    """A validated dataclass out of JSON values. Raises StoreError naming `where` and the offending field."""
    try:
        return msgspec.convert(_unmarked(value), kind, strict=True, str_keys=True)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise StoreError(f"{where}: not a valid {kind.__name__}: {error}") from error


def dump(value: Json) -> bytes:
    """One line of JSON without the line end."""
    return msgspec.json.encode(value)


def load(data: bytes, where: str) -> Json:
    """JSON values. Raises StoreError naming `where`."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError(f"{where}: not valid JSON: {error}") from error


def _enc_hook(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no stored form")


def _marked(value: Json) -> Json:
    if isinstance(value, float):
        return value if math.isfinite(value) else {_MARK: repr(value)}
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(item) for item in value]
    return value


def _unmarked(value: Json) -> Json:
    if isinstance(value, dict):
        if len(value) == 1 and _MARK in value:
            return float(value[_MARK])
        return {key: _unmarked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    return value
