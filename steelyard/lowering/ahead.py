"""Processes that make formats ahead of the one that lowers a request, while that one makes references.

They share nothing with it but the cache, where it finds what they made and waits for what they are at. What they could
not make it makes itself, so that errors are those that it meets, and none of it depends on them.

`python -m steelyard.lowering.ahead REQUEST.json FIRST` begins with the formats of that program of the request.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from steelyard import wire
from steelyard.guard.child import module_command
from steelyard.lowering.lower import lower_ahead
from steelyard.lowering.request import LoweringRequest, Progress

_GRACE_S = 10.0  # a converter in compiled code sees the signal only when it returns


@contextmanager
def ahead(request: LoweringRequest, file: Path) -> Iterator[None]:
    """Within, all but one of the request's processes are at work; `file` is where it lies."""
    inherited = () if request.progress is None else (request.progress,)
    children: list[subprocess.Popen[bytes]] = []
    try:
        for first in range(request.processes - 1):
            command = module_command(__name__, str(file), str(first))
            # The environment is that of this process, which was chosen for both.
            environment = dict(os.environ)
            children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=inherited, env=environment))
        yield
    finally:
        for child in children:
            child.terminate()
        for child in children:
            _end(child)


def reporter(request: LoweringRequest) -> Callable[[Progress], None]:
    """Writes a JSON line per step. Where nobody is left to read them, the first one ends this process."""

    def report(progress: Progress) -> None:
        if request.progress is not None:
            try:
                os.write(request.progress, wire.encode(progress) + b"\n")
            except BrokenPipeError:
                sys.exit("nobody is left to be told what was lowered")

    return report


def _end(child: "subprocess.Popen[bytes]") -> None:
    try:
        child.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _main(arguments: list[str]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that what is half made is removed
    request = wire.read(Path(arguments[0]), LoweringRequest)
    lower_ahead(request, int(arguments[1]), reporter(request))


if __name__ == "__main__":
    sys.path.append(os.getcwd())  # last: a user's file must not shadow a package
    _main(sys.argv[1:])
