"""A recording as a file: columns of numbers, and what is to be known of them as JSON; nothing in it is executed."""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from steelyard.core.errors import StoreError
from steelyard.core.trace import Kernel, Recording

_COLUMNS = {"kernel": np.int32, "start_ns": np.float64, "duration_ns": np.float64, "thread": np.int32}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    kernels: tuple[Kernel, ...]
    resolution_ns: float
    dropped: int | None
    averaged: bool
    remarks: tuple[str, ...]


def write(path: Path, recording: Recording) -> str:
    """Write the file, folder included, and return its sha256. Raises StoreError where it cannot be written, and for a
    recording that `read` would refuse."""
    facts = _Facts(
        kernels=recording.kernels,
        resolution_ns=recording.resolution_ns,
        dropped=recording.dropped,
        averaged=recording.averaged,
        remarks=recording.remarks,
    )
    columns: dict[str, Any] = {name: np.asarray(getattr(recording, name), kind) for name, kind in _COLUMNS.items()}
    columns["calls"] = np.asarray(recording.calls, np.float64).reshape(-1, 2)
    if problem := _problem(columns, len(recording.kernels)):
        raise StoreError(f"{path.name}: not recorded: {problem}")
    text = np.frombuffer(msgspec.json.encode(facts), np.uint8)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, facts=text, **columns)
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error


def read(path: Path, sha256: str) -> Recording:
    """The recording in a file; its columns are arrays. Raises StoreError naming the file, and what is wrong with it or
    that it is not the one with this hash."""
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise StoreError(f"{path}: not the file that the launch wrote: its sha256 is another")
        with np.load(path, allow_pickle=False) as file:
            columns: dict[str, Any] = {name: file[name].astype(kind) for name, kind in _COLUMNS.items()}
            columns["calls"] = file["calls"].astype(np.float64).reshape(-1, 2)
            facts = msgspec.json.decode(file["facts"].tobytes(), type=_Facts, strict=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (KeyError, ValueError, zipfile.BadZipFile, msgspec.DecodeError, EOFError) as error:
        raise StoreError(f"{path}: not a recording of a traced launch: {error}") from error
    if problem := _problem(columns, len(facts.kernels)):
        raise StoreError(f"{path}: {problem}")
    return Recording(
        kernels=facts.kernels,
        **{name: columns[name] for name in _COLUMNS},
        calls=tuple((float(begin), float(end)) for begin, end in columns["calls"]),
        resolution_ns=facts.resolution_ns,
        dropped=facts.dropped,
        averaged=facts.averaged,
        remarks=facts.remarks,
    )


def _problem(columns: dict[str, Any], kernels: int) -> str:
    """What no profiler can have told; empty where there is nothing."""
    sizes = {columns[name].size for name in _COLUMNS}
    if len(sizes) > 1:
        return f"its columns are of unlike lengths: {sorted(sizes)}"
    if columns["kernel"].size and not (columns["kernel"].min() >= 0 and columns["kernel"].max() < kernels):
        return f"an event names a kernel that is none of its {kernels}"
    numbers = (columns["start_ns"], columns["duration_ns"], columns["calls"])
    if not all(np.isfinite(each).all() for each in numbers):
        return "a time is not finite"
    if (columns["duration_ns"] < 0).any():
        return "an event ends before it begins"
    calls = columns["calls"]
    if (calls[:, 1] < calls[:, 0]).any() or (calls[1:, 0] < calls[:-1, 1]).any():
        return "calls overlap, or end before they begin"
    return ""
