"""A control group (cgroup v2) of its own for one launch, which the kernel holds to a limit of memory."""

import os
import re
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from steelyard.core.backend import Budget
from steelyard.core.errors import SteelyardError
from steelyard.core.metrics import Reading, absent
from steelyard.guard.proc import ROOT, number, text

_MOUNT = "sys/fs/cgroup"
_SHELL = "/bin/sh"


def parent_group(root: Path = ROOT) -> tuple[Path | None, str]:
    """The group below which a launch's own may be made, or None with the reason.

    It is this process's own group or the one above, whichever passes the memory controller on and may be written:
    a group that holds processes passes on nothing, so that a sibling is the ordinary case.
    """
    line = next(
        (entry for entry in (text(root / "proc/self/cgroup") or "").splitlines() if entry.startswith("0::")), ""
    )
    mount = root / _MOUNT
    if not line or not (mount / "cgroup.controllers").is_file():
        return None, "no cgroup v2 hierarchy is mounted"
    own = mount / line[3:].lstrip("/")
    reason = "no memory controller is passed on to new groups"
    for group in (own, own.parent):
        if not group.is_relative_to(mount):
            continue
        if "memory" not in (text(group / "cgroup.subtree_control") or "").split():
            continue
        if os.access(group, os.W_OK) and os.access(group / "cgroup.procs", os.W_OK):
            return group, ""
        reason = "the control group may not be written; systemd-run --user --scope -p Delegate=yes gives one that may"
    return None, reason


def group_for(budget: Budget, name: str) -> "MemoryGroup | None":
    """The group of the launch `name`, where its budget has a limit that a group keeps. Raises SteelyardError where none
    can be made any more."""
    if budget.memory_cap_by != "cgroup" or budget.memory_cap_bytes is None:
        return None
    parent, reason = parent_group()
    if parent is None:
        raise SteelyardError(f"the memory cap cannot be kept as it was in this run: {reason}")
    return MemoryGroup(parent, name, budget.memory_cap_bytes)


class MemoryGroup:
    """The group of one launch: made on entering, removed on leaving. Raises SteelyardError if it cannot be made.

    Without swap: what does not fit is not paged out, and a runtime that needs more is ended.
    """

    def __init__(self, parent: Path, name: str, limit_bytes: int) -> None:
        self.path = parent / f"steelyard-{os.getpid()}-{re.sub(r'[^A-Za-z0-9]+', '-', name)}"
        self._limit_bytes = limit_bytes

    def __enter__(self) -> "MemoryGroup":
        try:
            self.path.mkdir()
            self._write("memory.max", self._limit_bytes)
            if (self.path / "memory.swap.max").exists():  # not there where the kernel counts no swap
                self._write("memory.swap.max", 0)
            self._write("memory.oom.group", 1)
        except OSError as error:
            self._remove()
            raise SteelyardError(
                f"the control group {self.path.name} cannot be made: {error.strerror}; leave --memory-cap out, "
                "or run where the group may be written"
            ) from error
        return self

    def command(self, command: list[str]) -> list[str]:
        """The command, begun in the group: what the program touches first is counted already."""
        return [_SHELL, "-c", 'echo $$ > "$0" && exec "$@"', str(self.path / "cgroup.procs"), *command]

    def kills(self) -> int:
        """How many processes of the group the kernel ended for want of memory."""
        found = re.search(r"^oom_kill (\d+)", text(self.path / "memory.events") or "", re.MULTILINE)
        return int(found[1]) if found else 0

    def peak(self) -> Reading:
        """The peak of the group: all processes, the ended ones too, with file cache and kernel memory."""
        found = number(self.path / "memory.peak")
        if found is None:
            return absent("B", "this kernel keeps no memory.peak")
        return Reading(value=found, unit="B", method="cgroup memory.peak over the whole launch")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._remove()

    def _write(self, name: str, value: int) -> None:
        (self.path / name).write_text(str(value))

    def _remove(self) -> None:
        with suppress(OSError):  # a process that is still ending holds it; an empty group costs nothing
            self.path.rmdir()
