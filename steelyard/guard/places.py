"""Where on the PCI bus the device lies to which a runtime gives an index: what joins it with its meters."""

from pathlib import Path

from steelyard.guard import pci, proc, visible_amd, visible_intel


def address_of(device_kind: str, index: int, root: Path = proc.ROOT) -> str | None:
    """The PCI address of a device; None where the kernel shows none. NVIDIA's are joined by UUID (`visible`)."""
    found: tuple[str | None, ...] = ()
    if device_kind == "rocm":
        found = tuple(node.address for node in visible_amd.visible_nodes(root))
    elif device_kind in ("xpu", "npu"):
        folders = visible_intel.npus(root) if device_kind == "npu" else visible_intel.gpus(root)
        found = tuple(pci.address(folder / "device") for folder in folders)
    return found[index] if index < len(found) else None
