"""Locks of a cache: files that whoever may read them can lock, other users too; the kernel drops a lock at the end."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, *, shared: bool = False, blocking: bool = True) -> Iterator[None]:
    """Held inside. Raises BlockingIOError if somebody else holds it and it is not to be waited for."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # some network file systems lock only such
    except OSError:
        if not path.exists():
            raise
        descriptor = os.open(path, os.O_RDONLY)
    try:
        mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(descriptor, mode if blocking else mode | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
