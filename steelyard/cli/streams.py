"""The standard streams of this process. One that is closed is nowhere, and a screen that goes away ends nothing.

A *screen* is only looked at: standard error always, standard output while a verb measures. What a screen cannot take
any more (its pipe has no reader, its terminal is closed, its disk is full) is dropped. Any other standard output is
data: without a reader the command ends at once and quietly, as Unix tools do.
"""

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from steelyard.cli.exit_codes import NO_READER
from steelyard.core.errors import SteelyardError

_OUTPUT, _ERROR = 1, 2


class _Stream(io.FileIO):
    """The lowest level of standard output or standard error, where a failed write is met, whoever writes."""

    def __init__(self, descriptor: int, *, is_screen: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.is_screen = is_screen
        self.lost = False

    def write(self, data: Any, /) -> int:
        """Write, or drop what nobody can see. Raises SystemExit for data without a reader, SteelyardError for other
        data that cannot be written; what the buffers still hold is dropped then."""
        if self.lost:
            return len(data)
        try:
            while (written := super().write(data)) is None:  # it is full, and set not to block: whoever shares it may
                select.select((), (self,), ())
            return written
        except OSError as error:
            self.lost = True
            told = f"standard output cannot be written: {error.strerror}"
            unread = isinstance(error, BrokenPipeError)
            if self.is_screen:
                if self.fileno() == _OUTPUT and not unread:
                    print(f"bench: {told}; what runs goes on, and is stored", file=sys.stderr)
                return len(data)
            raise SystemExit(NO_READER) if unread else SteelyardError(f"{told}; send it elsewhere") from error


def take_over() -> None:
    """Put these streams in the place of Python's. Where somebody else has, as a test, theirs stay."""
    for descriptor in range(3):  # in this order: a file is opened as the lowest number that is free
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 (for as long as the process lasts)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(sys.stdout, _Stream(_OUTPUT, is_screen=False))
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(sys.stderr, _Stream(_ERROR, is_screen=True))


@contextmanager
def all_screens() -> Iterator[None]:
    """Meanwhile standard output is a screen as well."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, _Stream):
        yield
        return
    before, raw.is_screen = raw.is_screen, True
    try:
        yield
    finally:
        sys.stdout.flush()
        raw.is_screen = before


def _text(before: TextIO | None, raw: _Stream) -> io.TextIOWrapper:
    """Text over a stream, in the encoding of what was there before."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=None if before is None else before.encoding,
        errors="backslashreplace" if before is None else before.errors,
        line_buffering=raw.is_screen or raw.isatty(),
    )
