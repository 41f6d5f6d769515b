"""Google's TPUs, as the kernel shows them on the PCI bus: chips, and the devices that JAX makes of each.

PCI ids: jax/_src/hardware_utils.py of JAX 0.10. Cores of a chip, and whether they are one device ("megacore"): JAX's
documentation of jax.experimental.pallas.tpu.ChipVersion. What TPU7x shows on the bus: ray-project/ray, pull request
65105, and vllm-project/tpu-inference, 1266, which tried it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steelyard.core.backend import Device
from steelyard.guard import proc
from steelyard.hardware.fact_values import absent

_GOOGLE = "0x1ae0"
_CHIPS = {
    "0x0027": "TPU v3",
    "0x005e": "TPU v4",
    "0x0062": "TPU v5p",
    "0x0063": "TPU v5e",
    "0x006f": "TPU v6e",
    "0x0076": "TPU7x",
}
DEVICES_OF = {name: 2 if name in ("TPU v3", "TPU7x") else 1 for name in _CHIPS.values()}
"""As how many devices JAX shows a chip: two cores without megacore are two; the others are one device a chip."""
_ON_THE_BUS = {"TPU7x": 2}
"""How often a chip stands on the bus, if not once: TPU7x with each of its two chiplets."""


def tpu_devices(root: Path = proc.ROOT) -> tuple[tuple[Device, ...], str]:
    """The devices, in the order of the bus, and why there are none if so. No file tells a chip's memory."""
    chips, reason = tpu_facts(root)
    names = [chip["name"] for chip in chips for _ in range(chip["devices"])]
    found = tuple(Device(kind="tpu", index=index, name=name, memory_bytes=None) for index, name in enumerate(names))
    return found, reason


def tpu_facts(root: Path = proc.ROOT) -> tuple[list[dict[str, Any]], str]:
    """Per entry on the bus: the chip's name, the devices of this entry, its driver; and why there is none if so."""
    found = list(_chips(root))
    if not found:
        return [], "no TPU is on the PCI bus"
    if not any(root.glob("dev/accel[0-9]*")) and not any(root.glob("dev/vfio/[0-9]*")):
        return [], "a TPU is on the PCI bus, but neither /dev/accel0 nor /dev/vfio/0 is here to open it"
    return found, ""


def _chips(root: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(root.glob("sys/bus/pci/devices/*")):
        if proc.text(path / "vendor") != _GOOGLE:
            continue
        name = _CHIPS.get(proc.text(path / "device") or "")
        if name is not None:  # Google's network and storage devices have the same vendor
            driver = path / "driver"
            yield {
                "name": name,
                "devices": DEVICES_OF[name] // _ON_THE_BUS.get(name, 1),
                "driver": driver.resolve().name if driver.exists() else absent("no driver is bound to the chip"),
                "memory_bytes": absent("no file of the kernel tells a TPU's memory"),
            }
