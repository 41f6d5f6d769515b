"""How a request to end reaches what measures: like Ctrl-C."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Who is asked to end (SIGTERM), or whose terminal is closed (SIGHUP), ends as on Ctrl-C: children are ended, what
    was measured is published. A signal that is ignored, as under nohup, stays so."""
    mine = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    for number in mine:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)
