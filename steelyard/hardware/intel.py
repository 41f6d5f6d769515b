"""Intel's GPUs (drivers i915 and xe) and NPUs (intel_vpu), as the kernel shows them. No identity is told, but hashed.

Files, units: Linux, drivers/gpu/drm/xe (tileN/physical_vram_size_bytes in hexadecimal, tileN/gtN/freq0/rp0_freq
in MHz), drivers/gpu/drm/i915 (gt_RP0_freq_mhz), drivers/accel/ivpu/ivpu_sysfs.c (npu_max_frequency_mhz), and
Documentation/ABI/testing/sysfs-driver-intel-*-hwmon (power1_max, power1_rated_max in microwatts).
"""

from pathlib import Path
from typing import Any

from steelyard.core.hashing import stable_hash
from steelyard.guard import pci, proc
from steelyard.guard.visible_intel import gpus, npus, shut
from steelyard.hardware.amd import power_w
from steelyard.hardware.fact_values import absent, value_or_absent
from steelyard.hardware.names import pci_name

_VENDOR = 0x8086
_BUILT_IN = "0000:00:02.0"
"""Where the GPU of a processor of Intel's lies."""
_SHARED = "it has no memory of its own and shares the machine's"
_NPUS = {0x7D1D: "Meteor Lake", 0xAD1D: "Arrow Lake", 0x643E: "Lunar Lake", 0xB03E: "Panther Lake",
         0xFD3E: "Wildcat Lake"}  # fmt: skip
"""By the PCI ids in drivers/accel/ivpu/ivpu_drv.h."""


def gpu_facts(root: Path = proc.ROOT) -> tuple[list[dict[str, Any]], str]:
    """Per GPU: name, memory, tiles, clock, power cap, driver; and why there is none if so."""
    found = [_gpu(card, root) for card in gpus(root)]
    if found:
        return found, ""
    if shut(root, "xpu"):
        return [], "an Intel GPU is there, but none of its /dev/dri/renderD* is: give the container /dev/dri"
    return [], "no driver i915 or xe shows a device in /sys/class/drm"


def npu_facts(root: Path = proc.ROOT) -> tuple[list[dict[str, Any]], str]:
    """Per NPU: name, clock, driver; and why there is none if so."""
    found = [_npu(unit / "device", root) for unit in npus(root)]
    if found:
        return found, ""
    if shut(root, "npu"):
        return [], "an Intel NPU is there, but its /dev/accel/accel* is not: give the container /dev/accel"
    return [], "no driver intel_vpu shows a device in /sys/class/accel"


def gpu_identities(root: Path = proc.ROOT) -> dict[int, str]:
    """By index, what tells a GPU from the others of the machine: a hash of its place on the PCI bus."""
    return {index: stable_hash(pci.address(card / "device"), 16) for index, card in enumerate(gpus(root))}


def npu_identities(root: Path = proc.ROOT) -> dict[int, str]:
    """The same for NPUs."""
    return {index: stable_hash(pci.address(unit / "device"), 16) for index, unit in enumerate(npus(root))}


def _gpu(card: Path, root: Path) -> dict[str, Any]:
    device = card / "device"
    tiles = pci.by_number(device.glob("tile[0-9]*"))
    sizes = [size for tile in tiles if (size := _size(tile / "physical_vram_size_bytes"))]
    integrated = pci.address(device) == _BUILT_IN and not sizes
    untold = f"the driver {_driver(device)} does not tell it"
    clocks = [*device.glob("tile[0-9]*/gt[0-9]*/freq0/rp0_freq"), card / "gt_RP0_freq_mhz"]
    return {
        "name": _name(device, "GPU", root),
        "memory_bytes": value_or_absent(sum(sizes) or None, _SHARED if integrated else untold),
        "integrated": integrated,
        "tiles": value_or_absent(len(tiles) or None, untold),
        "clock_max_hz": _hertz(clocks),
        "power_cap_w": power_w(device, "power1_max", "power1_rated_max"),
        "driver": _driver(device),
    }


def _npu(device: Path, root: Path) -> dict[str, Any]:
    return {
        "name": _name(device, "NPU", root),
        "memory_bytes": absent(_SHARED),
        "integrated": True,
        "clock_max_hz": _hertz([device / "freq/hw_max_freq", device / "npu_max_frequency_mhz"]),
        "driver": _driver(device),
    }


def _name(device: Path, what: str, root: Path) -> str:
    """The name in pci.ids, else the generation of a known NPU, else what the ids say."""
    model = (pci.ids(device) or (_VENDOR, 0))[1]
    if listed := pci_name(_VENDOR, model, root):
        return listed if listed.startswith("Intel") else f"Intel {listed}"
    known = _NPUS.get(model) if what == "NPU" else None
    return f"Intel {what} ({known})" if known else f"Intel {what} {_VENDOR:04x}:{model:04x}"


def _driver(device: Path) -> str:
    return pci.uevent(device).get("DRIVER", "")


def _size(path: Path) -> int | None:
    try:
        return int(proc.text(path) or "", 0)
    except ValueError:
        return None


def _hertz(paths: list[Path]) -> Any:
    known = [megahertz * 1e6 for path in paths if (megahertz := proc.number(path))]
    return max(known) if known else absent("the driver tells none")
