"""Bundles as files: the same bytes twice, and nothing that leads out of the folder."""

import io
import tarfile
from pathlib import Path

import pytest

from steelyard.artifact.archive import pack, unpack
from steelyard.core.errors import StoreError

FILES = {"top/a.txt": b"one", "top/sub/b.txt": b"two" * 1000}


def made(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def test_the_same_contents_give_the_same_bytes_and_come_back(tmp_path):
    (tmp_path / "two").write_bytes(FILES["top/sub/b.txt"])
    (tmp_path / "two").chmod(0o600)
    pack(FILES, tmp_path / "one.tar.gz")
    pack({"top/sub/b.txt": tmp_path / "two", "top/a.txt": b"one"}, tmp_path / "other.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "other.tar.gz").read_bytes()
    root = unpack(tmp_path / "one.tar.gz", tmp_path / "out")
    assert root == tmp_path / "out" / "top"
    assert {f"top/{p.relative_to(root)}": p.read_bytes() for p in root.rglob("*") if p.is_file()} == FILES


def test_an_archive_names_no_owner_and_no_time(tmp_path):
    pack(FILES, tmp_path / "one.tar.gz")
    with tarfile.open(tmp_path / "one.tar.gz") as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == sorted(FILES)
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime, m.mode) for m in members} == {(0, 0, "", "", 0, 0o644)}


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (entry("/etc/passwd"), "not a plain name"),
        (entry("top/../../escaped"), "not a plain name"),
        (entry("top/./a"), "not a plain name"),
        (entry("top\\a"), "not a plain name"),
        (entry("top/a\x1b[2J"), "not a plain name"),
        (entry("alone"), "not a plain name"),
        (entry("top/link", tarfile.SYMTYPE, "/etc/passwd"), "no links"),
        (entry("top/hard", tarfile.LNKTYPE, "top/a.txt"), "no links"),
        (entry("top/fifo", tarfile.FIFOTYPE), "no links"),
        (entry("top/device", tarfile.CHRTYPE), "no links"),
    ],
    ids=lambda value: value.name if isinstance(value, tarfile.TarInfo) else "",
)
def test_what_leads_elsewhere_is_refused(tmp_path, member, said):
    path = made(tmp_path / "bad.tar.gz", (entry("top/a.txt"), b"fine"), (member, b""))
    with pytest.raises(StoreError, match=said):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "escaped").exists()
    assert not any(p.is_symlink() for p in (tmp_path / "out").rglob("*"))


def test_a_name_twice_and_too_much_are_refused(tmp_path):
    twice = made(tmp_path / "twice.tar.gz", (entry("top/a"), b"1"), (entry("top/a"), b"2"))
    with pytest.raises(StoreError, match="there twice"):
        unpack(twice, tmp_path / "out1")
    pack(FILES, tmp_path / "one.tar.gz")
    with pytest.raises(StoreError, match="larger than a bundle may be"):
        unpack(tmp_path / "one.tar.gz", tmp_path / "out2", most_bytes=100)
    with pytest.raises(StoreError, match="larger than a bundle may be"):
        unpack(tmp_path / "one.tar.gz", tmp_path / "out3", most_files=1)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"nonsense", lambda data: b""])
def test_what_is_no_archive_is_told(tmp_path, damage):
    pack(FILES, tmp_path / "one.tar.gz")
    (tmp_path / "bad.tar.gz").write_bytes(damage((tmp_path / "one.tar.gz").read_bytes()))
    with pytest.raises(StoreError, match=r"bad\.tar\.gz: not a bundle"):
        unpack(tmp_path / "bad.tar.gz", tmp_path / "out")
