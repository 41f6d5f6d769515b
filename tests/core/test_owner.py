"""Files that are another user's: named with the owner, and what is kept outside runs is not replaced."""

import shutil
import tempfile
from pathlib import Path

import pytest

from steelyard import wire
from steelyard.core.aa_counts import AaCounts
from steelyard.core.ceilings import Ceilings
from steelyard.core.errors import Denied
from steelyard.core.owner import denied, owner_of
from steelyard.hardware import kept_aa_counts
from steelyard.hardware.ceilings import build
from steelyard.hardware.ceilings import kept as kept_ceilings
from tests.fakes.another_user import CAN_BE_ANOTHER, as_another
from tests.fakes.ceilings import synthetic_ceilings
from tests.tables.test_threats import calibrated

CLOSED = 0o600 if CAN_BE_ANOTHER else 0o000


@pytest.fixture
def cache(monkeypatch):
    """One in which every user may write."""
    place = Path(tempfile.mkdtemp(prefix="steelyard-test-"))
    place.chmod(0o777)
    monkeypatch.setenv("STEELYARD_CACHE", str(place))
    yield place
    shutil.rmtree(place)


@pytest.mark.parametrize("kind", [Ceilings, AaCounts])
def test_what_is_kept_and_closed_is_not_replaced_as_if_it_were_damaged(cache, kind):
    found = synthetic_ceilings() if kind is Ceilings else calibrated().manifest.calibration
    keep = kept_ceilings.keep if kind is Ceilings else kept_aa_counts.keep
    keep(found)
    (path,) = cache.glob("*/*.json")
    path.parent.chmod(0o777)
    before = path.read_bytes()
    path.chmod(CLOSED)
    with pytest.raises(Denied, match="belongs to") as raised:
        as_another(lambda: keep(found))
    assert str(path) in str(raised.value)
    path.chmod(0o644)
    assert path.read_bytes() == before


def test_loops_that_are_closed_are_not_compiled_anew(cache):
    build.library()
    (library,) = (cache / "native").glob("*.so")
    library.parent.chmod(0o777)
    library.chmod(CLOSED)
    inode = library.stat().st_ino
    with pytest.raises(Denied, match="belongs to"):
        as_another(build.library)
    assert library.stat().st_ino == inode


def test_of_a_file_that_is_not_there_the_folder_above_is_told(tmp_path):
    said = str(denied(tmp_path / "a" / "b", "permission denied"))
    assert said.startswith(f"{tmp_path / 'a' / 'b'}: permission denied: {tmp_path} belongs to {owner_of(tmp_path)}")
    assert "STEELYARD_CACHE" not in said


def test_a_document_that_may_not_be_read_is_named_with_its_owner(cache):
    path = cache / "document.json"
    path.write_text("{}")
    path.chmod(CLOSED)
    with pytest.raises(Denied, match=r"document\.json: permission denied: it belongs to "):
        as_another(lambda: wire.read(path, AaCounts))
