"""A neighbour on purpose: one process that spins on one CPU for as long as it is wanted."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from steelyard.guard.environment import for_child

# It ends by itself when its parent is gone: nobody is left to end it then.
_SPIN = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
parent = os.getppid()
print("spinning", flush=True)
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


@contextmanager
def neighbour(cpu: int) -> Iterator[int]:
    """A child that spins on `cpu`; gives its process id. Raises OSError if the CPU cannot be had."""
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _SPIN, str(cpu)],
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
