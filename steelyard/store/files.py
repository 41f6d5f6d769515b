"""Writing that survives a crash: flush, fsync, rename; and one lock per run."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from steelyard.core.errors import StoreError


@contextmanager
def writing(path: Path, safe: str = "") -> Iterator[None]:
    """Turn an OSError into a StoreError that names `path` and says what is `safe` nevertheless."""
    try:
        yield
    except OSError as error:
        kept = f"; {safe}" if safe else ""
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}{kept}") from error


def write_file(path: Path, data: bytes) -> None:
    """Write and fsync a new file. Raises OSError."""
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def sync(path: Path) -> None:
    """Fsync a file or directory by name. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(built: Path, final: Path) -> None:
    """Rename a complete directory to its final name, which must not exist, and make the rename durable."""
    sync(built)
    built.rename(final)
    sync(final.parent)


class RunLock:
    """The right to write one run, or whatever a folder holds: an advisory lock that the kernel drops when the process
    ends, however it ends."""

    def __init__(self, directory: Path) -> None:
        path = directory / ".lock"
        with writing(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise StoreError(
                f"{directory}: another process is writing here; wait until it has ended, or end it"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let others write. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
