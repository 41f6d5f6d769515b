"""Recordings as a trace for https://ui.perfetto.dev: every backend a track of one time line, its threads below it.

The file is a protobuf message of perfetto's `trace.proto` (fields by number below), written here: with the classes of
the package `perfetto` a million slices take over ten seconds.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from steelyard.core.trace import Recording
from steelyard.tracing.classes import class_of
from steelyard.tracing.edges import edges

_PACKET = 1
_TIMESTAMP, _SEQUENCE, _EVENT, _INTERNED, _FLAGS, _TRACK = 8, 10, 11, 12, 13, 60  # of a packet
_UUID, _NAME, _PARENT = 1, 2, 5  # of a track descriptor
_TYPE, _NAME_ID, _TRACK_UUID, _CATEGORY_ID = 9, 10, 11, 3  # of a track event
_CATEGORIES, _NAMES = 1, 2  # of interned data: each entry has an id (1) and a name (2)
_BEGIN, _END = 1, 2
_CLEARED, _NEEDED = 1, 2  # of the sequence flags: a sequence begins, and a packet needs what was interned in it


def write(path: Path, tracks: Sequence[tuple[str, Recording]]) -> Path:
    """Write the recordings under their names; the first call of each begins at 0. Event categories are classes."""
    with path.open("wb") as file:
        for number, (name, recording) in enumerate(tracks, start=1):
            file.write(b"".join(_packets(name, recording, number)))
    return path


def _packets(name: str, recording: Recording, number: int) -> Iterator[bytes]:
    uuid = number << 32
    sequence = _number(_SEQUENCE, number)
    yield _packet(_message(_TRACK, _number(_UUID, uuid) + _text(_NAME, name)) + sequence)
    threads = np.unique(np.asarray(recording.thread)).tolist()
    for thread in threads:
        described = _number(_UUID, uuid + 1 + thread) + _text(_NAME, f"thread {thread}") + _number(_PARENT, uuid)
        yield _packet(_message(_TRACK, described) + sequence)
    classes = [class_of(kernel) for kernel in recording.kernels]
    ids = {name: index for index, name in enumerate(dict.fromkeys(classes), start=1)}
    interned = b"".join(
        _message(_NAMES, _number(1, index) + _text(2, kernel.name))
        for index, kernel in enumerate(recording.kernels, start=1)
    ) + b"".join(_message(_CATEGORIES, _number(1, index) + _text(2, each)) for each, index in ids.items())
    yield _packet(_message(_INTERNED, interned) + sequence + _number(_FLAGS, _CLEARED | _NEEDED))

    tail = sequence + _number(_FLAGS, _NEEDED)
    named = [_number(_NAME_ID, index) + _number(_CATEGORY_ID, ids[each]) for index, each in enumerate(classes, start=1)]
    begins = {
        (thread, kernel): _message(_EVENT, _number(_TYPE, _BEGIN) + _number(_TRACK_UUID, uuid + 1 + thread) + text)
        + tail
        for thread in threads
        for kernel, text in enumerate(named)
    }
    ends = {
        thread: _message(_EVENT, _number(_TYPE, _END) + _number(_TRACK_UUID, uuid + 1 + thread)) + tail
        for thread in threads
    }
    first = min((begin for begin, _ in recording.calls), default=0.0)
    first = min(first, float(np.min(recording.start_ns)) if len(recording.start_ns) else first)
    heads = [_varint(_PACKET << 3 | 2) + _varint(length) + _varint(_TIMESTAMP << 3) for length in range(128)]
    for thread, opens, kernel, at_ns in edges(recording):
        rest = _varint(round(at_ns - first)) + (begins[thread, kernel] if opens else ends[thread])
        yield heads[1 + len(rest)] + rest


def _packet(body: bytes) -> bytes:
    return _message(_PACKET, body)


def _message(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode(errors="replace"))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last byte with the eighth bit set."""
    if value < 128:
        return bytes((value,))
    found = bytearray()
    while value >= 128:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
