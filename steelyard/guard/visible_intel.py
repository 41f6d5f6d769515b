"""Intel's GPUs and NPUs as their runtimes count them: in the order of the PCI bus.

Launches are started with ZE_ENABLE_PCI_ID_DEVICE_ORDER=1, so that Level Zero counts so as well. An integrated GPU lies
at 0000:00:02.0 and is therefore the first, which it also is for OpenVINO.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from steelyard.guard import pci, proc

_GPU_DRIVERS = ("i915", "xe")
_NPU_DRIVER = "intel_vpu"


def gpus(root: Path = proc.ROOT) -> tuple[Path, ...]:
    """The folders of the GPUs that this process may open: /sys/class/drm/cardN."""
    found = _of(root / "sys/class/drm", r"card\d+", _GPU_DRIVERS)
    return _ordered(card for card in found if _opens(card, root))


def npus(root: Path = proc.ROOT) -> tuple[Path, ...]:
    """The folders of the NPUs that this process may open: /sys/class/accel/accelN."""
    found = _of(root / "sys/class/accel", r"accel\d+", (_NPU_DRIVER,))
    return _ordered(unit for unit in found if (root / "dev/accel" / unit.name).exists())


def shut(root: Path, kind: str) -> bool:
    """Whether a driver shows such a device that this process may not open."""
    if kind == "npu":
        return any(_of(root / "sys/class/accel", r"accel\d+", (_NPU_DRIVER,)))
    return any(_of(root / "sys/class/drm", r"card\d+", _GPU_DRIVERS))


def _of(folder: Path, name: str, drivers: tuple[str, ...]) -> Iterator[Path]:
    for path in folder.glob("*"):
        if re.fullmatch(name, path.name) and pci.uevent(path / "device").get("DRIVER") in drivers:
            yield path


def _opens(card: Path, root: Path) -> bool:
    """Whether a render node of the card, through which runtimes compute, is among the device files."""
    return any((root / "dev/dri" / node.name).exists() for node in (card / "device/drm").glob("renderD*"))


def _ordered(folders: Iterator[Path]) -> tuple[Path, ...]:
    return tuple(sorted(folders, key=lambda folder: pci.address(folder / "device") or ""))
