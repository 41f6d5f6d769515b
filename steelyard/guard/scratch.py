"""Temporary folders, and the removal of those that a killed process left.

Each is locked while its maker lives, by the kernel and thus however that ends; a folder whose lock can be had is an
orphan. A process id would prove less: by now it may be that of another process, or of another container.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "steelyard.work-"


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of this process alone, which is gone afterwards."""
    folder, descriptor = _locked()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def clear_orphans() -> tuple[Path, ...]:
    """Remove this user's folders whose makers have ended; which they were."""
    return tuple(folder for folder in sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")) if _cleared(folder))


def _locked() -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        descriptor = os.open(folder, os.O_RDONLY)
        with suppress(OSError):  # a file system without locks: then nobody clears there either
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        if folder.exists():  # else it was taken for an orphan before it was locked
            return folder, descriptor
        os.close(descriptor)


def _cleared(folder: Path) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # another user's, no folder, or gone meanwhile
        return False
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    except OSError:  # held, or it cannot be told whether it is
        return False
    finally:
        os.close(descriptor)
    return True
