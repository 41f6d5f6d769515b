"""One call for many items, shared among forks of this process."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

from steelyard.guard.child import end_with

Item = TypeVar("Item")
Found = TypeVar("Found")

MOST = 4
"""Processes beyond these win little: the longest figure takes a fifth of the time of all."""


def few() -> int:
    """How many to use: one for each CPU that this process may run on. Only Linux forks safely under its libraries."""
    return min(MOST, len(os.sched_getaffinity(0))) if sys.platform == "linux" else 1


def forked(call: Callable[[Item], Found], items: Sequence[Item], count: int) -> tuple[Found, ...]:
    """What `call` returns for each item, in their order, found by `count` processes.

    A fork has all memory of its parent, so that neither the call nor the items are pickled; what is found is. What the
    call changes stays in the fork, and an error that it raises is raised here. One process is this one, and so it is
    where forks cannot have semaphores, as without a writable /dev/shm: that takes longer and finds the same.
    """
    if count < 2 or len(items) < 2:
        return tuple(map(call, items))
    try:
        pool = ProcessPoolExecutor(min(count, len(items)), get_context("fork"), _begin, (os.getpid(), call, items))
    except (OSError, ImportError, NotImplementedError):  # the ways in which Python says that it has no semaphores
        return tuple(map(call, items))
    with pool:
        return tuple(pool.map(_find, range(len(items))))


_begun: Any = None


def _begin(parent: int, call: Callable[[Any], Any], items: Sequence[Any]) -> None:
    global _begun
    end_with(parent)
    _begun = call, items
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted as well, and ends its forks


def _find(place: int) -> Any:
    call, items = _begun
    return call(items[place])
