"""The devices of this host, each with what is known of it, and why there is none of a kind. Imports no framework."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.core.backend import Device, DeviceKind
from steelyard.guard import proc
from steelyard.hardware import amd, apple, intel, nvidia, tpu
from steelyard.hardware.cpu import cpu_name, memory_bytes
from steelyard.hardware.fact_values import absent, value_of

Facts = dict[str, Any]

_FACTS: Mapping[DeviceKind, Callable[[Path], tuple[list[Facts], str]]] = {
    "cuda": lambda root: nvidia.nvidia_facts(),
    "rocm": amd.amd_facts,
    "tpu": lambda root: _tpu(root),
    "xpu": intel.gpu_facts,
    "npu": intel.npu_facts,
    "mps": lambda root: apple.apple_facts(),
}
"""By kind, the facts of each device in the order of the indices that its runtimes give."""

_IDENTITIES: Mapping[DeviceKind, Callable[[Path], Mapping[int, str]]] = {
    "cuda": lambda root: nvidia.nvidia_identities(),
    "rocm": amd.amd_identities,
    "xpu": intel.gpu_identities,
    "npu": intel.npu_identities,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDevice:
    """A device and the facts of it, each a plain value or null with a reason; of the CPU `cpu_facts` are apart."""

    device: Device
    facts: Facts

    @property
    def integrated(self) -> bool:
        """Whether it is part of the processor and computes in the machine's memory."""
        return bool(self.facts.get("integrated", False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What is here: the CPU first, then accelerators by kind. `reasons` says of each other kind why there is none."""

    found: tuple[FoundDevice, ...]
    reasons: Mapping[str, str]

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices alone."""
        return tuple(entry.device for entry in self.found)


def survey(root: Path = proc.ROOT) -> Survey:
    """Look at everything."""
    found = [
        FoundDevice(device=Device(kind="cpu", index=0, name=cpu_name(root), memory_bytes=memory_bytes(root)), facts={})
    ]
    reasons: dict[str, str] = {}
    for kind, ask in _FACTS.items():
        entries, reason = ask(root)
        if not entries:
            reasons[kind] = reason
        for index, facts in enumerate(entries):
            device = Device(kind=kind, index=index, name=facts["name"], memory_bytes=value_of(facts["memory_bytes"]))
            found.append(FoundDevice(device=device, facts=facts))
    return Survey(found=tuple(found), reasons=reasons)


def devices(root: Path = proc.ROOT) -> tuple[Device, ...]:
    """Every device found: the CPU first, then accelerators as their runtimes count them."""
    return survey(root).devices


def identity_of(device: Device, root: Path = proc.ROOT) -> str | None:
    """A hash that tells this piece of hardware from all others of its kind, whatever index it has; None if nothing
    does."""
    ask = _IDENTITIES.get(device.kind)
    return None if ask is None else ask(root).get(device.index)


def accelerators(root: Path = proc.ROOT) -> Any:
    """For the fingerprint: by kind the facts of the devices that are neither a CPU nor NVIDIA's, or why there are
    none."""
    found = {kind: entries for kind, ask in _FACTS.items() if kind != "cuda" and (entries := ask(root)[0])}
    return found or absent("no TPU and no device of AMD's, Intel's or Apple's was found")


def _tpu(root: Path) -> tuple[list[Facts], str]:
    chips, reason = tpu.tpu_facts(root)
    return [chip for chip in chips for _ in range(chip["devices"])], reason
