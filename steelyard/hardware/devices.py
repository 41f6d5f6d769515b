"""The devices of this host, and the one that `--device` means. No framework is imported."""

from pathlib import Path

from steelyard.core.backend import Device
from steelyard.core.errors import unknown_name
from steelyard.guard import proc
from steelyard.hardware.cpu import cpu_name, memory_bytes
from steelyard.hardware.nvidia import nvidia_devices


def devices(root: Path = proc.ROOT) -> tuple[Device, ...]:
    """Every device found: the CPU first, then accelerators in their driver's order."""
    cpu = Device(kind="cpu", index=0, name=cpu_name(root), memory_bytes=memory_bytes(root))
    boards, _ = nvidia_devices()
    return (cpu, *boards)


def pick_device(wanted: str | None, found: tuple[Device, ...] | None = None) -> Device:
    """The device of an id such as `cpu` or `cuda:0`; a kind alone is its first. None: the best present.

    Raises UsageError with the ids that are there.
    """
    found = devices() if found is None else found
    if wanted is None:
        return next((device for device in found if device.kind != "cpu"), found[0])
    for device in found:
        if wanted in (device.id, f"{device.kind}:{device.index}") or (device.index == 0 and wanted == device.kind):
            return device
    raise unknown_name("device", wanted, [device.id for device in found])
