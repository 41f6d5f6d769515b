"""What a PCI device is called, by the lists that a machine may have: libdrm's of AMD's products, and pci.ids."""

import re
from functools import lru_cache
from pathlib import Path

from steelyard.guard import proc

_PRODUCTS = ("usr/share/libdrm/amdgpu.ids", "opt/amdgpu/share/libdrm/amdgpu.ids")
_PCI = ("usr/share/hwdata/pci.ids", "usr/share/misc/pci.ids", "usr/share/pci.ids")


def amd_product(device: int, revision: int, root: Path = proc.ROOT) -> str | None:
    """The name under which AMD sells a model, by its PCI id and revision; None where no list tells it."""
    for path in _PRODUCTS:
        line = rf"^{device:04X},\s*{revision:02X},\s*(.+?)\s*$"
        if found := re.search(line, _content(root / path), re.MULTILINE | re.IGNORECASE):
            return found[1]
    return None


def pci_name(vendor: int, device: int, root: Path = proc.ROOT) -> str | None:
    """The name of a device in pci.ids; where it tells a product in brackets behind the chip, that. None without one."""
    for path in _PCI:
        block = re.search(rf"^{vendor:04x}  .*\n((?:\t.*\n|#.*\n)*)", _content(root / path), re.MULTILINE)
        found = block and re.search(rf"^\t{device:04x}  (.+)$", block[1], re.MULTILINE)
        if found:
            product = re.search(r"\[(.+)\]$", found[1])
            return product[1] if product else found[1]
    return None


@lru_cache(maxsize=8)
def _content(path: Path) -> str:
    """These lists have a megabyte, and do not change while a command runs."""
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
