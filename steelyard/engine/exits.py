"""The end of a child process, as something that `select` can wait for."""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_FORBIDDEN = (errno.ENOSYS, errno.EPERM, errno.EACCES)


@contextmanager
def exit_of(pid: int) -> Iterator[int]:
    """A file descriptor that becomes readable once this child has ended; the child is left to be waited for.

    Where `pidfd_open` is missing or forbidden, as in older container runtimes, a thread sleeps until then.
    """
    descriptor = _pidfd(pid)
    if descriptor is None:
        descriptor, told = os.pipe()
        threading.Thread(target=_close_at_exit, args=(pid, told), daemon=True).start()
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _pidfd(pid: int) -> int | None:
    if not hasattr(os, "pidfd_open"):  # a Python that was built on an older Linux
        return None
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno in _FORBIDDEN:
            return None
        raise


def _close_at_exit(pid: int, told: int) -> None:
    with suppress(ChildProcessError):  # somebody waited for it first: it has ended
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    os.close(told)
