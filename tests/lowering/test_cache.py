"""The cache: whole or not there, built once, damage found, cleaned by age."""

import errno
import importlib.metadata
import multiprocessing
import os
import pwd
import time
from pathlib import Path

import pytest

from steelyard.core.errors import LoweringError, SteelyardError, UsageError
from steelyard.core.workload import Selection
from steelyard.lowering import hashes as hashes_module
from steelyard.lowering.cache import Cache, cache_root
from steelyard.lowering.cached import size_bytes
from steelyard.lowering.installation import installation_folder
from steelyard.lowering.references import point_key
from steelyard.lowering.written import written_by
from tests.fakes.small_suite import points


def writer(content, built=None):
    def build(directory):
        (directory / "data.bin").write_bytes(content)
        if built is not None:
            built.append(content)
        return {"bytes": len(content)}

    return build


def obtain(cache, key="k", content=b"content", built=None, kind="weights"):
    return cache.obtain(kind, key, label="a label", made_with={"torch": "1"}, build=writer(content, built))


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def test_builds_once_and_reads_back(cache):
    built = []
    first = obtain(cache, built=built)
    second = obtain(Cache(cache.root), built=built)
    assert built == [b"content"]
    assert (first.fresh, second.fresh) == (True, False)
    assert second.manifest == first.manifest
    assert second.manifest.facts == {"bytes": 7}
    assert second.sha256 == first.sha256
    assert list((cache.root / "tmp").iterdir()) == []


@pytest.mark.parametrize("package", ["torch", "gguf", "safetensors", "tokenizers"])
def test_a_point_is_made_anew_when_anything_that_its_references_hang_on_changes(monkeypatch, package):
    (point,) = points(Selection(device_kind="cpu", workloads=("wide",)))
    written = written_by(point, point.sources)
    before, version = point_key(point, 8, written), importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0.9" if name == package else version(name))
    assert point_key(point, 8, written) != before


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def exchange(path):
    path.write_bytes(b"CONTENT")


@pytest.mark.parametrize("harm", [truncate, exchange, Path.unlink])
def test_a_damaged_file_is_found_and_rebuilt(cache, harm):
    entry = obtain(cache)
    harm(entry.path / "data.bin")
    assert cache.find("weights", "k") is None
    again = obtain(cache)
    assert again.fresh
    assert (again.path / "data.bin").read_bytes() == b"content"


@pytest.mark.parametrize("text", ["", "{}", '{"label": 3}', "\x00"])
def test_an_unreadable_manifest_is_damage(cache, text):
    (obtain(cache).path / "entry.json").write_text(text)
    assert list(cache.verify()) == ["weights/k"]
    assert obtain(cache).fresh


def test_hashes_once_per_file_and_again_on_verify(cache, monkeypatch):
    hashed = []
    true_hash = hashes_module.file_sha256
    monkeypatch.setattr(hashes_module, "file_sha256", lambda path: hashed.append(path) or true_hash(path))
    obtain(cache)
    for _ in range(3):
        obtain(Cache(cache.root))
    assert len(hashed) == 1
    Cache(cache.root).verify()
    assert len(hashed) == 2


def test_verify_finds_what_size_and_time_do_not_show(cache):
    file = obtain(cache).path / "data.bin"
    stat = file.stat()
    with file.open("r+b") as stream:
        stream.write(b"C")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    fresh = Cache(cache.root)
    assert fresh.find("weights", "k") is not None  # trusted: size, time and inode are unchanged
    assert "sha256" in fresh.verify()["weights/k"].reason
    assert Cache(cache.root).find("weights", "k") is None
    assert obtain(Cache(cache.root)).fresh


def test_a_failed_build_leaves_nothing(cache):
    def build(directory):
        (directory / "half.bin").write_bytes(b"half")
        raise LoweringError("no")

    with pytest.raises(LoweringError, match="no"):
        cache.obtain("weights", "k", label="x", made_with={}, build=build)
    assert cache.find("weights", "k") is None
    assert list((cache.root / "tmp").iterdir()) == []
    assert list((cache.root / "weights").iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(cache):
    def build(directory):
        (directory / "half.bin").write_bytes(b"half")
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(LoweringError, match=r"no space left in the cache .*bench cache clean") as caught:
        cache.obtain("weights", "k", label="x", made_with={}, build=build)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert list((cache.root / "tmp").iterdir()) == []


def test_what_a_killed_build_left_does_not_matter(cache):
    left = cache.root / "tmp" / f"weights-k-{os.geteuid()}"
    left.mkdir()
    (left / "data.bin").write_bytes(b"half")
    (left / "stray.bin").write_bytes(b"half")
    entry = obtain(cache)
    assert sorted(entry.manifest.files) == ["data.bin"]


def _slow(root, log):
    def build(directory):
        with Path(log).open("a") as stream:
            stream.write("built\n")
        time.sleep(0.5)
        (directory / "data.bin").write_bytes(b"content")
        return {}

    Cache(Path(root)).obtain("programs", "p/onnx", label="x", made_with={}, build=build)


def test_two_processes_build_one_entry_once(cache, tmp_path):
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    processes = [context.Process(target=_slow, args=(str(cache.root), str(log))) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert log.read_text() == "built\n"
    assert cache.find("programs", "p/onnx") is not None


def test_clean_removes_the_longest_unused(cache):
    for index, key in enumerate(["old", "middle", "new"]):
        entry = obtain(cache, key, bytes(100_000))
        os.utime(entry.path / "entry.json", (index, index))
    one = size_bytes([cache.find("weights", "old")]) + 1000  # manifests differ by some digits
    assert cache.clean(2 * one) == ["weights/old"]
    obtain(cache, "middle", bytes(100_000))  # used now
    assert cache.clean(one) == ["weights/new"]
    assert cache.clean(0) == ["weights/middle"]
    assert list(cache.entries()) == []


def test_clean_takes_damaged_entries_and_leavings(cache):
    (obtain(cache, "bad").path / "data.bin").unlink()
    obtain(cache, "good")
    (cache.root / "tmp" / "weights-killed").mkdir()
    assert cache.clean(10**9) == ["weights/bad"]
    assert list((cache.root / "tmp").iterdir()) == []
    assert cache.find("weights", "good") is not None


def test_clean_waits_for_no_run_and_says_so(cache):
    obtain(cache)
    with cache.lease(), cache.lease(), pytest.raises(SteelyardError, match="a run is using the cache"):
        Cache(cache.root).clean(0)
    assert cache.clean(0) == ["weights/k"]


def test_hard_links_count_once_and_are_hashed_once(cache, monkeypatch):
    first = obtain(cache, content=bytes(100_000))
    hashed = []
    true_hash = hashes_module.file_sha256
    monkeypatch.setattr(hashes_module, "file_sha256", lambda path: hashed.append(path) or true_hash(path))

    def build(directory):
        os.link(first.path / "data.bin", directory / "data.bin")
        return {}

    second = cache.obtain("programs", "p/onnx", label="x", made_with={}, build=build)
    assert hashed == []
    assert size_bytes([first, second]) < 110_000


def test_clean_forgets_hashes_of_files_that_are_gone(cache):
    obtain(cache, "a")
    obtain(cache, "b", b"other")
    cache.clean(0)
    assert (cache.root / "hashes.jsonl").read_text() == ""


def test_what_runtimes_keep_for_an_installation_goes_when_the_cache_is_cleaned(cache, monkeypatch, tmp_path):
    monkeypatch.delenv("STEELYARD_INSTALLATION", raising=False)
    monkeypatch.setenv("STEELYARD_CACHE", str(cache.root))
    folder = installation_folder()
    assert folder is not None
    assert folder.is_relative_to(cache.root)
    (folder / "headers").write_text("made once")
    cache.clean(0)
    assert not folder.exists()
    monkeypatch.setenv("STEELYARD_INSTALLATION", str(tmp_path / "apart"))
    assert installation_folder() == tmp_path / "apart"


def test_a_cache_that_takes_nothing_keeps_nothing_for_an_installation(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STEELYARD_INSTALLATION", str(tmp_path / "file" / "folder"))
    assert installation_folder() is None


def test_the_root(monkeypatch, tmp_path):
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "chosen"))
    assert cache_root() == tmp_path / "chosen"
    monkeypatch.delenv("STEELYARD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "steelyard"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "steelyard"


@pytest.mark.parametrize("chosen", ["", "~/cache"])
def test_without_a_home_a_root_must_be_named(chosen, monkeypatch):
    """No HOME, and a user id that has no account."""
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STEELYARD_CACHE", chosen)
    monkeypatch.setattr(pwd, "getpwuid", lambda number: {}[number])
    with pytest.raises(UsageError, match="set STEELYARD_CACHE to a writable directory"):
        cache_root()


def test_a_root_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="STEELYARD_CACHE"):
        Cache(tmp_path / "file" / "cache")
