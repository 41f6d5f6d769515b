"""Stopping every process of a launch, and letting it go on.

A stopped process cannot see that its parent is gone. The kernel kills a worker with its supervisor, not what the worker
has started: that would stay stopped for ever. So a small shell waits for the end of a pipe that the supervisor alone
holds open, and then kills all that may be stopped.
"""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from steelyard.guard.proc import text
from steelyard.guard.tree import left_behind

_UNTIL_THE_END = 'while read -r pid; do all="$all $pid"; done; kill -s KILL -- $all'
STOPPING_S = 1.0
"""The longest wait for a launch to stand. What it does afterwards is done in the turn of another."""


class Watchman:
    """Kills what it was told of once this process is gone, however that ended. A context manager."""

    def __init__(self) -> None:
        self._told: set[int] = set()

    def __enter__(self) -> Self:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _UNTIL_THE_END],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )
        return self

    def tell(self, *targets: int) -> None:
        """Before they are stopped: process ids, and process groups as negative numbers."""
        assert self._shell.stdin is not None
        new = [target for target in targets if target not in self._told]
        if new:
            self._told.update(new)
            self._shell.stdin.write("".join(f"{target}\n" for target in new).encode())
            self._shell.stdin.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._shell.kill()  # first: the end of the pipe is what it acts on
        self._shell.communicate()


class Halt:
    """Stops and continues one launch: the group of its worker `leader`, and what left that and bears the `mark`."""

    def __init__(self, leader: int, mark: str, watchman: Watchman) -> None:
        self._leader, self._mark, self._watchman = leader, mark, watchman
        self._others: tuple[int, ...] = ()
        self._strays: tuple[int, ...] = ()

    def look(self) -> None:
        """Find the processes that the worker has started. It costs a look at every process of the machine."""
        self._others = left_behind(self._leader, self._mark)
        self._strays = tuple(pid for pid in self._others if _group(pid) != self._leader)

    def stop(self) -> int:
        """Returns 0 when all stand; after STOPPING_S how many threads do not, as those that wait in the kernel."""
        self._watchman.tell(-self._leader, *self._strays)
        self._signal(signal.SIGSTOP)
        until, pause_s = time.monotonic() + STOPPING_S, 2e-5
        moving = set(self._others)
        states = os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT
        while (moving := {pid for pid in moving if _moving(pid)}) or not os.waitid(os.P_PID, self._leader, states):
            if time.monotonic() > until:
                return sum(_moving(pid) for pid in {self._leader, *moving})
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 1e-3)
        return 0

    def go_on(self) -> None:
        """Everything that was stopped runs again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._leader, number)
        for pid in self._strays:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def _moving(pid: int) -> int:
    """How many threads of a process neither are stopped nor have ended."""
    try:
        states = [text(task / "stat") or "" for task in Path("/proc", str(pid), "task").iterdir()]
    except OSError:
        return 0
    return sum(state.rpartition(")")[2].split()[:1] not in ([], ["T"], ["t"], ["Z"], ["X"]) for state in states)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
