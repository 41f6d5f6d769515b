"""The journal of a running segment: one JSON line per event, durable when `append` returns."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steelyard.core.errors import StoreError
from steelyard.store import codec
from steelyard.store.files import writing

NAME = "journal.jsonl"


class Journal:
    """Append-only lines `{"event": ..., "value": ...}`; each is flushed and fsynced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = 0
        with writing(path):
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)

    def append(self, event: str, value: Any) -> None:
        """Write one event. When the disk is full, what is already there stays whole. Raises StoreError."""
        if self._descriptor < 0:
            raise StoreError(f"{self.path}: the segment has ended; nothing can be added to it")
        line = codec.dump({"event": event, "value": value}) + b"\n"
        start = os.fstat(self._descriptor).st_size
        with writing(self.path, f"the {self._lines} lines before it are safe and can be resumed"):
            try:
                self._write(line)
                os.fsync(self._descriptor)
            except OSError:
                os.ftruncate(self._descriptor, start)
                raise
        self._lines += 1

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, line: bytes) -> None:
        view = memoryview(line)
        while view:
            view = view[os.write(self._descriptor, view) :]


def events(path: Path, notes: list[str]) -> Iterator[tuple[str, Any]]:
    """The events of a journal in order. A torn last line is left out and noted; damage before it is a StoreError."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    with stream:
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):
                notes.append(f"{path.parent.name}/{path.name}: line {number} was torn when the writer ended; left out")
                return
            entry = codec.load(line, f"{path}, line {number}")
            if not isinstance(entry, dict) or not isinstance(entry.get("event"), str) or "value" not in entry:
                raise StoreError(f"{path}, line {number}: not an event of a steelyard journal")
            yield entry["event"], entry["value"]
