"""A background load on purpose: one process that spins on one CPU and rests, by turns, for as long as it is wanted.

python -m steelyard.selftest.background_load CPU SEED
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from steelyard.guard.child import module_command
from steelyard.guard.environment import for_child

SHORTEST_S, LONGEST_S = 2.0, 8.0
"""Between them, evenly drawn, lies how long it spins, and how long it then rests: longer than a turn, shorter than a
round, so that some launches of a round have it beside them and others do not."""


@contextmanager
def background_load(cpu: int, seed: int) -> Iterator[int]:
    """A child that spins on `cpu` by the rhythm of `seed`; gives its process id. It ends with this process. Raises
    OSError if the CPU cannot be had."""
    child = subprocess.Popen(
        module_command("steelyard.selftest.background_load", str(cpu), str(seed)),
        env=for_child(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the campaign, which ends the load itself
    )
    try:
        assert child.stdout is not None
        assert child.stderr is not None
        if not child.stdout.readline():
            told = child.stderr.read().decode(errors="replace").strip().splitlines()
            raise OSError(f"no background load can spin on CPU {cpu}: {told[-1] if told else 'it ended at once'}")
        yield child.pid
    finally:
        child.kill()
        child.communicate()


def rhythm(seed: int) -> Iterator[tuple[float, float]]:
    """For how many seconds it spins, and for how many it rests, again and again."""
    source = random.Random(seed)  # noqa: S311 (design of experiment)
    while True:
        yield source.uniform(SHORTEST_S, LONGEST_S), source.uniform(SHORTEST_S, LONGEST_S)


def _spin(cpu: int, seed: int) -> NoReturn:
    os.sched_setaffinity(0, {cpu})
    print("spinning", flush=True)
    for on_s, off_s in rhythm(seed):
        until = time.monotonic() + on_s
        while time.monotonic() < until:
            pass
        time.sleep(off_s)
    raise AssertionError("a rhythm has no end")


if __name__ == "__main__":
    _spin(int(sys.argv[1]), int(sys.argv[2]))
