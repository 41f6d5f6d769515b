"""The devices of this host, and the one that `--device` means. No framework is imported."""

from pathlib import Path

from steelyard.core.backend import Device
from steelyard.guard import proc
from steelyard.hardware.cpu import cpu_name, memory_bytes
from steelyard.hardware.nvidia import nvidia_devices
from steelyard.hardware.tpu import tpu_devices


def devices(root: Path = proc.ROOT) -> tuple[Device, ...]:
    """Every device found: the CPU first, then accelerators as their runtimes count them."""
    cpu = Device(kind="cpu", index=0, name=cpu_name(root), memory_bytes=memory_bytes(root))
    boards, _ = nvidia_devices()
    chips, _ = tpu_devices(root)
    return (cpu, *boards, *chips)
