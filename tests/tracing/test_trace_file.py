"""Recordings as files: what was written is read, and nothing else is."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from steelyard.core.errors import StoreError
from steelyard.core.trace import Recording
from steelyard.measure import trace_file
from tests.tracing.recorded import recording

FOUND = recording([("MatMul", 0.5, 40), ("Add", 40, 90.25, 1)], calls=[(0, 100), (100, 200)], dropped=None)


def same(one: Recording, other: Recording) -> bool:
    columns = ("kernel", "start_ns", "duration_ns", "thread")
    facts = ("kernels", "calls", "resolution_ns", "dropped", "averaged", "remarks")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns) and all(
        getattr(one, name) == getattr(other, name) for name in facts
    )


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "below" / "made.npz"
    digest = trace_file.write(path, FOUND)
    assert same(trace_file.read(path, digest), FOUND)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kernel": [0, 7]}, "none of its 2"),
        ({"thread": [0]}, "unlike lengths"),
        ({"duration_ns": [1.0, -1.0]}, "ends before it begins"),
        ({"start_ns": [0.0, float("nan")]}, "not finite"),
        ({"calls": ((0, 100), (50, 200))}, "calls overlap"),
    ],
)
def test_what_no_profiler_can_have_told_is_not_written(tmp_path, change, told):
    with pytest.raises(StoreError, match=told):
        trace_file.write(tmp_path / "made.npz", dataclasses.replace(FOUND, **change))


def test_another_file_is_not_taken_for_the_launchs(tmp_path):
    path = tmp_path / "made.npz"
    digest = trace_file.write(path, FOUND)
    trace_file.write(path, dataclasses.replace(FOUND, dropped=3))
    with pytest.raises(StoreError, match="its sha256 is another"):
        trace_file.read(path, digest)


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"{}" + data[9:]]
)
def test_a_damaged_file_is_named(tmp_path: Path, damage):
    path = tmp_path / "made.npz"
    trace_file.write(path, FOUND)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StoreError, match=r"made\.npz"):
        trace_file.read(path, hashlib.sha256(path.read_bytes()).hexdigest())


def test_arrays_of_objects_are_not_unpickled(tmp_path):
    path = tmp_path / "made.npz"
    np.savez(path, facts=np.array([{"a": 1}], dtype=object))
    with pytest.raises(StoreError, match="not a recording"):
        trace_file.read(path, hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreError, match="cannot be read"):
        trace_file.read(tmp_path / "none.npz", "")
