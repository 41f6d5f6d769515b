"""AMD's GPUs as ROCm counts them, and which board of the PCI bus each is.

ROCm counts the nodes of the kernel's compute topology that have SIMD units, in the order of the nodes. A board in a
partitioned mode shows a node for each part. ROCR_VISIBLE_DEVICES chooses among them by number or UUID, and
HIP_VISIBLE_DEVICES (or CUDA_VISIBLE_DEVICES, which HIP reads where the former is not set) among what that leaves.
AMD: ROCm documentation, GPU isolation techniques; Linux: drivers/gpu/drm/amd/amdkfd/kfd_topology.c (location_id).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from steelyard.guard import proc
from steelyard.guard.pci import by_number
from steelyard.guard.visible import chosen_of

_NODES = "sys/class/kfd/kfd/topology/nodes"
_PROCESSES = "sys/class/kfd/kfd/proc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A GPU, or a part of one: its folder in the topology and the numbers in its `properties`."""

    folder: Path
    properties: Mapping[str, int]

    @property
    def address(self) -> str:
        """The board's place on the PCI bus; the bits above the sixteenth of its location number a part."""
        location = self.properties.get("location_id", 0)
        domain, bus, device = self.properties.get("domain", 0), location >> 8 & 0xFF, location >> 3 & 0x1F
        return f"{domain:04x}:{bus:02x}:{device:02x}.{location & 7:x}"

    @property
    def uuid(self) -> str:
        """The name by which ROCm knows it from all others; empty where the board has no number of its own."""
        unique = self.properties.get("unique_id", 0)
        return f"GPU-{unique:016x}" if unique else ""


def visible_nodes(root: Path = proc.ROOT, environment: Mapping[str, str] = os.environ) -> tuple[Node, ...]:
    """The devices that a process with this environment may open, in ROCm's order.

    In a container the kernel hides the properties of the nodes whose device files are not there.
    """
    found = [node for folder in by_number((root / _NODES).glob("[0-9]*")) if (node := _node(folder)) is not None]
    opened = [node for node in found if (root / f"dev/dri/renderD{node.properties.get('drm_render_minor')}").exists()]
    hip = environment.get("HIP_VISIBLE_DEVICES", environment.get("CUDA_VISIBLE_DEVICES"))
    for text in (environment.get("ROCR_VISIBLE_DEVICES"), hip):
        opened = [opened[place] for place in chosen_of(text, [(node.uuid,) for node in opened])]
    return tuple(opened)


def computing(node: Node, root: Path = proc.ROOT) -> tuple[int, ...] | None:
    """Process ids of those that hold memory of a device for computing, as the driver counts it; None where it does not
    tell. In a container the ids are the host's."""
    gpu = proc.text(node.folder / "gpu_id")
    if not gpu or not (root / _PROCESSES).is_dir():
        return None
    held = (root / _PROCESSES).glob(f"[0-9]*/vram_{gpu}")
    return tuple(sorted(int(file.parent.name) for file in held if proc.number(file)))


def numbers(text: str | None) -> dict[str, int]:
    """The lines `name number` of a properties file."""
    return {name: int(value) for name, value in re.findall(r"^(\w+) (\d+)$", text or "", re.MULTILINE)}


def _node(folder: Path) -> Node | None:
    properties = numbers(proc.text(folder / "properties"))
    return Node(folder=folder, properties=properties) if properties.get("simd_count") else None
