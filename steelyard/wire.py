"""JSON at the edges: dataclasses out, validated dataclasses in."""

import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from steelyard.core.errors import StoreError
from steelyard.core.owner import naming_the_owner

T = TypeVar("T")


def encode(value: Any) -> bytes:
    """A dataclass tree as JSON bytes (UTF-8, one line). Non-finite floats become null."""
    return msgspec.json.encode(value, enc_hook=_plain)


def send(descriptor: int, value: Any) -> None:
    """A dataclass tree as a line into a pipe, whole."""
    data = encode(value) + b"\n"
    while data:
        data = data[os.write(descriptor, data) :]


def decode(data: bytes | str, kind: type[T], where: str) -> T:
    """Read `kind` from JSON. Raises StoreError that names `where` and the offending field."""
    try:
        return msgspec.json.decode(data, type=kind, strict=True)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise StoreError(f"{where}: not a valid {kind.__name__}: {error}") from error


def read(path: Path, kind: type[T]) -> T:
    """Read `kind` from a JSON file. Raises StoreError naming the file; Denied, which is one, if it may not be read."""
    try:
        with naming_the_owner():
            data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    return decode(data, kind, str(path))


def write(path: Path, value: Any) -> None:
    """A dataclass tree as a JSON file, there at once or not at all. Raises StoreError naming the file."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(encode(value) + b"\n")
        part.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, str):  # a subclass, e.g. torch's version
        return str.__str__(value)
    if hasattr(value, "item"):  # numpy scalars
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
