"""Temporary folders: gone with whoever made them, or cleared by the next; never those of the living."""

import subprocess
import sys
import tempfile

import pytest

from steelyard.guard.scratch import clear_orphans, scratch

MAKES = """
import sys
from steelyard.guard.scratch import scratch
with scratch() as folder:
    (folder / "compiled").mkdir()
    (folder / "compiled" / "kernel.so").write_bytes(bytes(1000))
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield tmp_path
    tempfile.tempdir = None


def test_a_folder_is_gone_at_the_end(place):
    with scratch() as folder:
        assert folder.parent == place
        (folder / "file").write_text("x")
    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not(place):
    with subprocess.Popen(
        [sys.executable, "-c", MAKES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        left = child.stdout.readline().strip()
        with scratch() as own:
            assert clear_orphans() == ()
            child.kill()
            child.wait()
            (removed,) = clear_orphans()
            assert str(removed) == left
            assert list(place.iterdir()) == [own]


def test_only_folders_of_this_kind_are_looked_at(place):
    (place / "steelyard-abc").mkdir()  # an earlier version's: nobody knows whether it is held
    (place / "steelyard.work-file").write_text("")
    (place / "steelyard.work-link").symlink_to(place / "steelyard-abc")
    assert clear_orphans() == ()
    assert len(list(place.iterdir())) == 3
