"""The lines of a published segment, decoded from JSON straight into dataclasses."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from steelyard.core.errors import StoreError
from steelyard.core.result import LaunchRecord, Measurement, Proof, Result
from steelyard.core.run import SCHEMA_VERSION
from steelyard.store import codec, schema
from steelyard.store.samples import SampleReader
from steelyard.store.shared import Shared, decoder, mirror

_SHARED: Mapping[str, Any] = {
    "proof": Proof | None,
    "idiom": Mapping[str, str],
    "options": Mapping[str, Any],
}
_BUFFER = 1 << 20
_SAMPLED = ("samples", "starts_s")
BESIDES = (
    "proof",
    "correctness",
    "memory",
    "energy",
    "energy_use",
    "energy_estimate",
    "idiom",
    "options",
    "text",
    "details",
)
"""The fields of a result that neither a time nor an outcome needs: most of a line."""


def read_launches(path: Path, version: int) -> tuple[LaunchRecord, ...]:
    """The launches in a file of this schema version. Raises StoreError naming the file and the line."""
    found = []
    for line, where in _lines(path):
        record = _decoded(line, LaunchRecord, version)
        if record is None:
            value = schema.migrated(_object(line, where), "launch", version)
            record = codec.from_plain(value, LaunchRecord, where)
        found.append(record)
    return tuple(found)


def read_results(path: Path, version: int, reader: SampleReader, *, brief: bool = False) -> tuple[Result, ...]:
    """The results in a file of this schema version, with samples. Raises StoreError naming the file and the line.

    `brief` leaves the fields BESIDES at their defaults, at a fraction of the cost.
    """
    shared = {name: Shared(kind) for name, kind in _SHARED.items() if not brief}
    form = _stored_result(brief)
    found = []
    for line, where in _lines(path):
        stored = _decoded(line, form, version)
        draft = None if stored is None else _draft(stored, shared)
        if draft is None:
            value = schema.migrated(_object(line, where), "result", version)
            found.append(_read_slowly(value, reader, where))
        else:
            found.append(_with_samples(draft, reader, where))
    return tuple(found)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the cyclic garbage collector, which looks at every object anew while a million are made that all stay."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _decoded(line: bytes, kind: Any, version: int) -> Any:
    """A line as `kind`; None where it is old, holds marks of numbers that are not finite, or is damaged."""
    if version != SCHEMA_VERSION or codec.MARK in line:
        return None
    try:
        return decoder(kind).decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _draft(stored: Any, shared: Mapping[str, Shared]) -> dict[str, Any] | None:
    """The fields of a result, its measurements still with counts for samples; None where a shared text is damaged."""
    values: dict[str, Any] = msgspec.structs.asdict(stored)
    for name, known in shared.items():
        text = bytes(values.pop(name))
        if not text:
            continue  # written before there was this field
        try:
            values[name] = known.value(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
    return values


def _with_samples(draft: dict[str, Any], reader: SampleReader, where: str) -> Result:
    taken = []
    for entry in draft["measurements"]:
        values = msgspec.structs.asdict(entry)
        values["samples"], values["starts_s"] = _taken(entry.samples, entry.starts_s, reader, where)
        taken.append(Measurement(**values))
    draft["measurements"] = tuple(taken)
    return Result(**draft)


def _read_slowly(value: Any, reader: SampleReader, where: str) -> Result:
    """A result that was stored in an older schema, or holds marks of non-finite numbers, or is damaged."""
    counts = []
    measured = value.get("measurements")
    for entry in measured if isinstance(measured, list) else ():
        if isinstance(entry, dict):
            counts.append([entry.get(name) for name in _SAMPLED])
            entry.update(dict.fromkeys(_SAMPLED, ()))
    result = codec.from_plain(value, Result, where)
    measurements = []
    for entry, count in zip(result.measurements, counts, strict=True):
        samples, starts = _taken(count[0], count[1], reader, where)
        measurements.append(replace(entry, samples=samples, starts_s=starts))
    return replace(result, measurements=tuple(measurements))


def _taken(samples: Any, starts: Any, reader: SampleReader, where: str) -> tuple[Any, Any]:
    valid = all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in (samples, starts))
    if not valid or starts not in (0, samples):
        raise StoreError(f"{where}: a measurement without a valid number of samples")
    return reader.take(samples, starts)


def _lines(path: Path) -> Iterator[tuple[bytes, str]]:
    try:
        with path.open("rb", buffering=_BUFFER) as stream:
            for number, line in enumerate(stream, start=1):
                yield line, f"{path}, line {number}"
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error


def _object(line: bytes, where: str) -> dict[str, Any]:
    value = codec.load(line, where)
    if not isinstance(value, dict):
        raise StoreError(f"{where}: not a JSON object")
    return value


@cache
def _stored_result(brief: bool) -> Any:
    """Result as its line in results.jsonl has it: counts for samples, and text for what results share."""
    measured = {"measurements": tuple[mirror(Measurement, dict.fromkeys(_SAMPLED, int)), ...]}  # type: ignore[misc]
    if brief:
        return mirror(Result, measured, without=BESIDES)
    return mirror(Result, measured | dict.fromkeys(_SHARED, msgspec.Raw))
