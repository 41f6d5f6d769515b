"""A file of the cache in another folder: one file where the file system has hard links, else a copy."""

import errno
import os

import pytest

from steelyard.lowering.linked import link


@pytest.fixture
def target(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    file = tmp_path / "a/weights.bin"
    file.write_bytes(b"weights")
    return file


def test_it_is_the_same_file_and_stays_what_it_is_when_asked_again(target, tmp_path):
    for _ in range(2):
        link(target, tmp_path / "b")
        assert (tmp_path / "b/weights.bin").samefile(target)


def test_without_hard_links_it_is_a_copy(target, tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", refused)
    link(target, tmp_path / "b")
    assert (tmp_path / "b/weights.bin").read_bytes() == b"weights"
    assert not (tmp_path / "b/weights.bin").samefile(target)


def test_a_full_disk_is_told(target, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="no space left"):
        link(target, tmp_path / "b")
