"""The CPU time of a worker and everything it started, read out of /proc at one moment."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from steelyard.guard.proc import ROOT, text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    pid: int
    parent: int
    session: int
    ticks: int
    """Of the process itself and of its children that have ended and were waited for."""


def tree_cpu_s(leader: int, root: Path = ROOT) -> float | None:
    """CPU seconds of the process `leader`, of its session, and of every descendant, those already ended included.

    Call it while the leader runs or is not yet waited for. A process that was orphaned and ended before
    is counted by nobody. None if the leader is not there. Known to about two clock ticks per process.
    """
    processes = {process.pid: process for process in _processes(root)}
    if leader not in processes:
        return None
    inside = {pid for pid, process in processes.items() if pid == leader or process.session == leader}
    for pid in processes:
        line = []
        while pid in processes and pid not in inside and pid not in line:
            line.append(pid)
            pid = processes[pid].parent
        if pid in inside:
            inside.update(line)
    return sum(processes[pid].ticks for pid in inside) / os.sysconf("SC_CLK_TCK")


def left_behind(leader: int, mark: str, root: Path = ROOT) -> tuple[int, ...]:
    """The process ids of what the ended process `leader` has started and that still runs.

    Those are its session's, and those whose environment holds `mark` (`NAME=value`): a child that began a
    session of its own, or was orphaned, still has that. One that was started with an environment made anew and left
    the session is not found.
    """
    wanted = mark.encode()
    found = []
    for process in _processes(root):
        if process.pid in (leader, os.getpid()):
            continue
        if process.session == leader or wanted in _environment(process.pid, root):
            found.append(process.pid)
    return tuple(found)


def _environment(pid: int, root: Path) -> list[bytes]:
    try:
        return (root / "proc" / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is another user's
        return []


def _processes(root: Path) -> Iterator[_Process]:
    """Every process that can be seen. One that ends while it is read is left out."""
    try:
        names = os.listdir(root / "proc")
    except OSError:  # the caller then misses its leader and says so
        return
    for name in filter(str.isdigit, names):
        # The name in brackets may hold blanks and brackets itself.
        _, bracket, rest = (text(root / "proc" / name / "stat") or "").rpartition(")")
        fields = rest.split()
        if bracket and len(fields) > 14:
            yield _Process(
                pid=int(name),
                parent=int(fields[1]),
                session=int(fields[3]),
                ticks=sum(map(int, fields[11:15])),
            )
