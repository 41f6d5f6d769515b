"""Which piece of hardware a folder of /sys is about: its place on the PCI bus, which outlives the numbers of card1,
hwmon3 or accel0, given in the order in which drivers happened to load."""

import re
from collections.abc import Iterable
from pathlib import Path

from steelyard.guard import proc


def by_number(paths: Iterable[Path]) -> list[Path]:
    """Paths in the order of the numbers in their names: hwmon2 before hwmon10."""
    return sorted(paths, key=_numbers)


def address(device: Path) -> str | None:
    """The PCI address, such as 0000:03:00.0, of a device's folder; None where it lies on no PCI bus."""
    found = uevent(device).get("PCI_SLOT_NAME")
    return found.lower() if found else None


def ids(device: Path) -> tuple[int, int] | None:
    """Vendor and model of a PCI device, by the numbers that the vendors register."""
    found = [re.fullmatch(r"0x([0-9a-fA-F]{1,4})", proc.text(device / name) or "") for name in ("vendor", "device")]
    return None if found[0] is None or found[1] is None else (int(found[0][1], 16), int(found[1][1], 16))


def uevent(device: Path) -> dict[str, str]:
    """What the kernel says of a device to those who wait for it: DRIVER, PCI_SLOT_NAME and more."""
    lines = (line.partition("=") for line in (proc.text(device / "uevent") or "").splitlines())
    return {name: value for name, equals, value in lines if equals}


def _numbers(path: Path) -> tuple[tuple[int, int | str], ...]:
    """The name in pieces that compare: text with text, number with number."""
    pieces = re.split(r"([0-9]+)", path.name)
    return tuple((1, int(piece)) if place % 2 else (0, piece) for place, piece in enumerate(pieces))
