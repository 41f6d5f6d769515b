"""A cache that several users share, or that was once used under sudo: open as the umask says, closed files named, and
nothing removed that is another's."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.core.errors import Denied
from steelyard.core.owner import owner_of
from steelyard.lowering.cache import Cache
from steelyard.lowering.lower import lower
from steelyard.lowering.request import LoweringRequest
from tests.fakes.another_user import CAN_BE_ANOTHER, as_another
from tests.fakes.numpy_work import lowered_point

CLOSED = 0o600 if CAN_BE_ANOTHER else 0o000


def build(directory):
    """As libraries write: through temporary files and folders, which are closed to all others."""
    with tempfile.NamedTemporaryFile(dir=directory, delete=False) as stream:
        stream.write(b"content")
    Path(stream.name).rename(directory / "data.bin")
    Path(tempfile.mkdtemp(dir=directory)).rename(directory / "inner")
    (directory / "inner" / "more.bin").write_bytes(b"more")
    return {}


def obtain(cache, kind="weights", key="k", build=build):
    return cache.obtain(kind, key, label="a label", made_with={}, build=build)


def no_build(_):
    pytest.fail("built anew, although it is there")


@pytest.fixture
def cache():
    """One that every user may write, so that only the product keeps another from deleting there."""
    place = Path(tempfile.mkdtemp(prefix="steelyard-test-"))
    place.chmod(0o755)
    before = os.umask(0)
    try:
        yield Cache(place / "cache")
    finally:
        os.umask(before)
        for folder in (place / "cache", *(place / "cache").iterdir()):
            folder.chmod(0o755)
        shutil.rmtree(place)


@pytest.mark.parametrize(
    ("umask", "file", "folder"), [(0o022, 0o644, 0o755), (0o027, 0o640, 0o750), (0o002, 0o664, 0o775)]
)
def test_what_is_made_is_as_open_as_the_umask_says(cache, umask, file, folder):
    os.umask(umask)
    entry = obtain(cache)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (entry.path, *entry.path.rglob("*"))}
    assert modes == {"k": folder, "data.bin": file, "inner": folder, "more.bin": file, "entry.json": file}


def test_another_user_uses_what_is_there(cache):
    os.umask(0o022)
    obtain(cache)
    obtain(cache, "programs", "p/onnx")

    def use():
        found = [obtain(Cache(cache.root), build=no_build), obtain(Cache(cache.root), "programs", "p/onnx", no_build)]
        return [(entry.path / "data.bin").read_bytes() for entry in found]

    assert as_another(use) == [b"content", b"content"]


@pytest.mark.parametrize("closed", ["data.bin", "entry.json", "."])
def test_what_is_closed_is_named_with_its_owner_and_stays(cache, closed):
    entry = obtain(cache)
    path = entry.path / closed
    owner, before = owner_of(path), path.stat()
    path.chmod(CLOSED)
    with pytest.raises(Denied) as raised:
        as_another(lambda: obtain(Cache(cache.root)))
    with pytest.raises(Denied):
        as_another(lambda: Cache(cache.root).find("weights", "k"))
    said = str(raised.value)
    assert str(path) in said
    assert f"belongs to {owner}" in said
    assert "STEELYARD_CACHE" in said
    assert path.stat().st_ino == before.st_ino
    path.chmod(stat.S_IMODE(before.st_mode))
    assert not obtain(cache).fresh


def test_what_is_damaged_and_anothers_is_left_to_its_owner(cache):
    entry = obtain(cache)
    (entry.path / "data.bin").write_bytes(b"CONTENT")
    with pytest.raises(Denied, match="only its owner may replace it"):
        as_another(lambda: obtain(Cache(cache.root)))
    assert (entry.path / "data.bin").read_bytes() == b"CONTENT"
    assert obtain(cache).fresh, "its owner builds it anew"


def test_a_cache_that_may_not_be_written_is_named_with_its_owner(cache):
    os.umask(0o022)
    obtain(cache)
    for folder in (cache.root, *cache.root.iterdir()):
        if folder.is_dir():
            folder.chmod(0o555 if not CAN_BE_ANOTHER else 0o755)
    with pytest.raises(Denied, match=r"belongs to .*STEELYARD_CACHE") as raised:
        as_another(lambda: obtain(Cache(cache.root), key="other"))
    assert owner_of(cache.root) in str(raised.value)
    with pytest.raises(Denied, match=r"belongs to .*STEELYARD_CACHE"):
        as_another(lambda: Cache(cache.root / "tmp" / "deeper" / "cache"))


def test_cleaning_leaves_what_is_anothers_and_tells_whose_it_is(cache):
    obtain(cache)
    (obtain(cache, key="damaged").path / "data.bin").unlink()
    (cache.root / "tmp" / "weights-x-0").mkdir()
    assert as_another(lambda: (Cache(cache.root).clean(0), Cache(cache.root).clear_orphans())) == ([], [])
    assert as_another(lambda: Cache(cache.root).others())["weights/k"] == owner_of(cache.root)
    assert sorted(cache.clean(0)) == ["weights/damaged", "weights/k"]
    assert cache.others() == {}


def test_to_verify_tells_closed_from_damaged(cache):
    obtain(cache, key="closed").path.joinpath("data.bin").chmod(CLOSED)
    obtain(cache, key="damaged").path.joinpath("data.bin").unlink()
    flaws = as_another(lambda: Cache(cache.root).verify())
    assert {name: flaw.closed for name, flaw in flaws.items()} == {"weights/closed": True, "weights/damaged": False}
    assert "belongs to" in flaws["weights/closed"].reason


def refused(*_):
    raise Denied("closed to you")


def test_a_closed_file_ends_lowering_and_is_no_row_of_a_point(cache, tmp_path):
    """A row is stored, and names of users are not."""
    point = lowered_point(tmp_path).point
    program = point.programs["main"]
    weights = type(program.weights)(source=f"{__name__}:refused", arguments={}, origin="seeded")
    point = replace(point, programs={"main": replace(program, weights=weights)})
    with pytest.raises(Denied, match="closed to you"):
        lower(LoweringRequest(points=(point,), formats=(), cache=str(cache.root)), lambda _: None)


BUILDS = """
import sys
from pathlib import Path
from steelyard.lowering.cache import Cache

def build(directory):
    (directory / "half.bin").write_bytes(b"half")
    print("half", flush=True)
    sys.stdin.read()

Cache(Path(sys.argv[1])).obtain("programs", "p/onnx", label="x", made_with={}, build=build)
"""


def test_what_a_killed_build_left_is_cleared_and_what_goes_on_is_not(cache):
    command = [sys.executable, "-c", BUILDS, str(cache.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "half\n"
        assert cache.clear_orphans() == []
        child.kill()
        child.wait()
    (draft,) = (cache.root / "tmp").iterdir()
    assert cache.clear_orphans() == [draft]
    assert list((cache.root / "tmp").iterdir()) == []
