"""What ends a verb that measures, and what does not."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from steelyard.cli.streams import all_screens


@contextmanager
def ended_only_when_asked() -> Iterator[None]:
    """A request to end (SIGTERM) is like Ctrl-C: children are ended, what was measured is published. A screen that goes
    away ends nothing: neither a pipe without a reader nor a terminal that is closed (SIGHUP), as under nohup.

    A signal that is ignored already stays so.
    """
    wanted: dict[int, Callable[..., Any]] = {signal.SIGTERM: signal.default_int_handler, signal.SIGHUP: _go_on}
    mine = {number: handler for number, handler in wanted.items() if signal.getsignal(number) is signal.SIG_DFL}
    for number, handler in mine.items():
        signal.signal(number, handler)
    try:
        with all_screens():
            yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


def _go_on(*_: object) -> None:
    """Not SIG_IGN, which every child would inherit."""
