"""The control group of a launch, on a tree that looks like the kernel's."""

import os
import subprocess
from pathlib import Path

import pytest

from steelyard.core.errors import SteelyardError
from steelyard.guard.memory_group import MemoryGroup, parent_group

MOUNT = "sys/fs/cgroup"


def hierarchy(root: Path, own: str, *, passing: tuple[str, ...]) -> Path:
    """A v2 tree down to the group `own`; `passing` are the groups that pass the memory controller on."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(f"4:memory:/elsewhere\n0::{own}\n")
    group = root / MOUNT
    for name in ("", *own.strip("/").split("/")):
        group = group / name
        group.mkdir(parents=True, exist_ok=True)
        place = "/" + group.relative_to(root / MOUNT).as_posix().removeprefix(".")
        (group / "cgroup.subtree_control").write_text("cpu memory" if place in passing else "cpu")
        (group / "cgroup.procs").write_text("")
    (root / MOUNT / "cgroup.controllers").write_text("cpu memory")
    return group


def test_a_sibling_is_made_where_the_own_group_holds_processes_and_passes_nothing_on(tmp_path: Path) -> None:
    own = hierarchy(tmp_path, "/user/session", passing=("/user",))
    assert parent_group(tmp_path) == (own.parent, "")


def test_a_child_is_made_where_the_own_group_passes_memory_on(tmp_path: Path) -> None:
    own = hierarchy(tmp_path, "/user/session", passing=("/user", "/user/session"))
    assert parent_group(tmp_path) == (own, "")


def test_without_a_hierarchy_or_a_controller_the_reason_is_told(tmp_path: Path) -> None:
    assert parent_group(tmp_path / "empty") == (None, "no cgroup v2 hierarchy is mounted")
    hierarchy(tmp_path, "/user/session", passing=())
    found, reason = parent_group(tmp_path)
    assert found is None
    assert "no memory controller" in reason


def test_the_group_has_the_limit_no_swap_and_dies_as_one(tmp_path: Path) -> None:
    with MemoryGroup(tmp_path, "run/1-0001", 1 << 30) as group:
        assert group.path.name == f"steelyard-{os.getpid()}-run-1-0001"
        assert (group.path / "memory.max").read_text() == str(1 << 30)
        assert (group.path / "memory.oom.group").read_text() == "1"
        assert not (group.path / "memory.swap.max").exists(), "a kernel that counts no swap has no such file"
        assert group.kills() == 0
        assert group.peak().value is None, "what the kernel does not tell is absent"
        (group.path / "memory.events").write_text("low 0\noom 2\noom_kill 3\n")
        (group.path / "memory.peak").write_text("123456\n")
        assert group.kills() == 3
        assert group.peak().value == 123456
        for file in group.path.iterdir():  # a kernel's group is removed with its files
            file.unlink()
    assert not group.path.exists()


def test_the_command_begins_in_the_group(tmp_path: Path) -> None:
    group = MemoryGroup(tmp_path, "x", 1)
    group.path.mkdir()
    done = subprocess.run(group.command(["/bin/sh", "-c", "echo $$"]), capture_output=True, text=True, check=True)
    assert done.stdout == (group.path / "cgroup.procs").read_text(), "the process that was moved is the program itself"


def test_a_group_that_cannot_be_made_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SteelyardError, match="leave --memory-cap out"), MemoryGroup(tmp_path / "file", "x", 1):
        pass
