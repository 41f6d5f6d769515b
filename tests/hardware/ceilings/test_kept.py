"""Ceilings are kept by machine, device and threads, and what knows less does not replace what knows more."""

from dataclasses import replace

import pytest

from steelyard.core.backend import Device
from steelyard.core.errors import StoreError
from steelyard.hardware.ceilings import kept
from steelyard.hardware.fingerprint import fingerprint
from steelyard.hardware.machine import machine_key
from tests.fakes.ceilings import CPU, synthetic_ceilings


def test_the_newest_is_kept_by_machine_device_and_threads():
    here = fingerprint()
    found = replace(synthetic_ceilings(), machine_key=machine_key(here), threads=1)
    assert kept.newest(here, CPU, 1) is None
    assert kept.keep(found)
    assert kept.newest(here, CPU, 1) == found
    assert kept.newest(here, CPU, 2) is None
    assert kept.newest(here, Device(kind="cuda", index=0, name="A GPU", memory_bytes=None), 1) is None
    other = {**here, "memory_bytes": 1 << 50}
    assert kept.newest(other, CPU, 1) is None


def test_what_knows_less_does_not_replace_what_is_kept():
    here = fingerprint()
    found = replace(synthetic_ceilings(), machine_key=machine_key(here))
    assert kept.keep(found)
    noisy = replace(found, grade="F", rounds=99)
    shorter = replace(found, rounds=6)
    partial = replace(found, rows=found.rows[:3], rounds=99)
    for less in (noisy, shorter, partial):
        assert not kept.keep(less)
    assert kept.newest(here, CPU, 2) == found
    assert kept.keep(replace(partial, versions={"torch": "another"}))


def test_a_damaged_file_is_named_and_replaced_by_the_next(tmp_path):
    here = fingerprint()
    found = replace(synthetic_ceilings(), machine_key=machine_key(here))
    kept.keep(found)
    (file,) = (tmp_path / "cache" / "ceilings").glob("*.json")
    file.write_text("{")
    with pytest.raises(StoreError, match=r"ceilings/.*\.json"):
        kept.newest(here, CPU, 2)
    assert kept.keep(found)
