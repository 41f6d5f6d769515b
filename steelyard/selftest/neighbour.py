"""A neighbour on purpose: one process that spins on one CPU for as long as it is wanted.

python -m steelyard.selftest.neighbour CPU
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from steelyard.guard.child import module_command
from steelyard.guard.environment import for_child


@contextmanager
def neighbour(cpu: int) -> Iterator[int]:
    """A child that spins on `cpu`; gives its process id. Raises OSError if the CPU cannot be had."""
    child = subprocess.Popen(
        module_command("steelyard.selftest.neighbour", str(cpu)),
        env=for_child(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the campaign, which ends the neighbour itself
    )
    try:
        assert child.stdout is not None
        assert child.stderr is not None
        if not child.stdout.readline():
            told = child.stderr.read().decode(errors="replace").strip().splitlines()
            raise OSError(f"no neighbour can spin on CPU {cpu}: {told[-1] if told else 'it ended at once'}")
        yield child.pid
    finally:
        child.kill()
        child.communicate()


def _spin(cpu: int) -> NoReturn:
    os.sched_setaffinity(0, {cpu})
    print("spinning", flush=True)
    while True:
        pass


if __name__ == "__main__":
    _spin(int(sys.argv[1]))
