"""A powercap tree that a thread drives: a package that draws a known power for as long as a test lasts."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.metered_work import write_zone

START_J = 261_000
"""Close below the end of the counter's range of 262 kJ: a minute at some tens of watts wraps it."""


@contextmanager
def driven_package(root: Path, watts: float) -> Iterator[Path]:
    """The root of the tree, written some hundred times a second."""
    over = threading.Event()

    def drive() -> None:
        begun = time.monotonic()
        while not over.wait(0.003):
            write_zone(root, START_J + watts * (time.monotonic() - begun))

    write_zone(root, START_J)
    thread = threading.Thread(target=drive)
    thread.start()
    try:
        yield root
    finally:
        over.set()
        thread.join()
