"""Levels of memory from the kernel's files, and the working sets that are tried."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.errors import UsageError
from steelyard.hardware.ceilings.levels import SMALLEST_BYTES, levels, place, sizes


def caches(root: Path, *entries: tuple[str, str, str, str]) -> Path:
    for number, (level, kind, size, shared) in enumerate(entries):
        folder = root / f"sys/devices/system/cpu/cpu0/cache/index{number}"
        folder.mkdir(parents=True)
        for name, text in (("level", level), ("type", kind), ("size", size), ("shared_cpu_list", shared)):
            (folder / name).write_text(text)
    return root


def test_a_shared_cache_is_divided_among_the_cpus_that_share_it(tmp_path):
    root = caches(
        tmp_path,
        ("1", "Data", "32K", "0"),
        ("1", "Instruction", "64K", "0"),
        ("2", "Unified", "512K", "0"),
        ("3", "Unified", "32768K", "0-7"),
    )
    first, _, third = levels((0, 1, 2, 3), root)
    assert (first.name, first.share_bytes, first.alone_bytes, first.total_bytes) == ("L1", 32768, 32768, 4 * 32768)
    assert (third.name, third.share_bytes, third.alone_bytes) == ("L3", 8 << 20, 32 << 20)
    assert third.total_bytes == 32 << 20
    assert levels((0,), tmp_path / "elsewhere") == ()


@given(st.lists(st.integers(12, 30), min_size=1, max_size=4, unique=True), st.integers(SMALLEST_BYTES, 1 << 34))
def test_working_sets_double_up_to_memory_and_lie_in_one_level_or_none(powers, most):
    capacities = [3 << (power - 1) for power in sorted(powers)]
    names = [f"L{number}" for number in range(1, len(capacities) + 1)]
    found = sizes(capacities, most)
    assert found[0] == SMALLEST_BYTES
    assert all(b == 2 * a for a, b in pairwise(found))
    assert found[-1] <= most
    where = [place(size, capacities, names) for size in found]
    order = ["", *names, "memory"]
    known = [order.index(name) for name in where if name]
    assert known == sorted(known)
    for size, name in zip(found, where, strict=True):
        if name.startswith("L"):
            assert size <= 0.75 * capacities[names.index(name)]
        if name == "memory":
            assert size >= 4 * capacities[-1]
    if most >= 8 * capacities[-1]:
        assert where[-1] == "memory"


def test_too_small_a_working_set_is_refused():
    with pytest.raises(UsageError, match="too small"):
        sizes([32768], SMALLEST_BYTES - 1)
