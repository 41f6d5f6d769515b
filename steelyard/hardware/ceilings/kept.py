"""The newest ceilings of this machine, kept outside any run so that later runs can carry them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard import wire
from steelyard.core.backend import Device
from steelyard.core.ceilings import Ceilings
from steelyard.core.errors import Denied, StoreError
from steelyard.hardware.machine import machine_key
from steelyard.lowering.cache import cache_root

_FOLDER = "ceilings"


def keep(found: Ceilings) -> bool:
    """Keep them as the newest of this machine, device and number of threads; returns whether. Raises StoreError.

    Of the same versions, ones that know less stay out: a noisier machine, fewer rounds, fewer things measured.
    """
    path = _path(found.machine_key, found.device, found.threads)
    if _outweighed(path, found):
        return False
    wire.write(path, found)
    return True


def newest(environment: Mapping[str, Any], device: Device, threads: int) -> Ceilings | None:
    """The ceilings of the machine of this fingerprint, of a device and for so many threads; None if there are none.

    Raises StoreError if the file is damaged.
    """
    path = _path(machine_key(environment), device.id, threads)
    return wire.read(path, Ceilings) if path.is_file() else None


def _outweighed(path: Path, found: Ceilings) -> bool:
    try:
        there = wire.read(path, Ceilings)
    except Denied:
        raise
    except StoreError:  # none yet, or damaged: then it is replaced
        return False
    same = (there.versions, there.tool_version, there.machine) == (found.versions, found.tool_version, found.machine)
    return same and _weight(there) > _weight(found)


def _weight(found: Ceilings) -> tuple[bool, int, int]:
    """What is known: on a machine that was not too noisy, how many things, in how many rounds."""
    return found.grade != "F", sum(row.estimate is not None for row in found.rows), found.rounds


def _path(key: str, device: str, threads: int) -> Path:
    return cache_root() / _FOLDER / f"{key}-{device.replace(':', '-')}-{threads}.json"
