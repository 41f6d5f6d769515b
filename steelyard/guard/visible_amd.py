"""AMD's GPUs as ROCm counts them, and which board of the PCI bus each is.

ROCm counts the nodes of the kernel's compute topology that have SIMD units, in the order of the nodes. A board in a
partitioned mode shows a node for each part. The part's number lies in the node's location: as the function of the PCI
address, which no device of the bus has, or in the bits above the 28th, as the kernel's version will have it.
ROCR_VISIBLE_DEVICES chooses among the nodes by number or UUID, and HIP_VISIBLE_DEVICES (or CUDA_VISIBLE_DEVICES, which
HIP reads where the former is not set) among what that leaves.
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
_BUS = "sys/bus/pci/devices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A GPU, or a part of one: its folder in the topology and the numbers in its `properties`.

    `address` is the board's place on the PCI bus, the same for all its parts, and `part` the number of the part.
    """

    folder: Path
    properties: Mapping[str, int]
    address: str
    part: int

    @property
    def uuid(self) -> str:
        """The name by which ROCm knows it from all others; empty where the board has no number of its own."""
        unique = self.properties.get("unique_id", 0)
        return f"GPU-{unique:016x}" if unique else ""


def visible_nodes(root: Path = proc.ROOT, environment: Mapping[str, str] = os.environ) -> tuple[Node, ...]:
    """The devices that a process with this environment may open, in ROCm's order.

    In a container the kernel hides the properties of the nodes whose device files are not there.
    """
    found = [node for folder in by_number((root / _NODES).glob("[0-9]*")) if (node := _node(folder, root)) is not None]
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


def _node(folder: Path, root: Path) -> Node | None:
    properties = numbers(proc.text(folder / "properties"))
    if not properties.get("simd_count"):
        return None
    address, part = _place(properties, root)
    return Node(folder=folder, properties=properties, address=address, part=part)


def _place(properties: Mapping[str, int], root: Path) -> tuple[str, int]:
    """The board's PCI address, and the number of the part."""
    location = properties.get("location_id", 0)
    slot = f"{properties.get('domain', 0):04x}:{location >> 8 & 0xFF:02x}:{location >> 3 & 0x1F:02x}"
    function, part = location & 7, location >> 28
    own, first = f"{slot}.{function}", f"{slot}.0"
    if function and not part and not (root / _BUS / own).exists() and (root / _BUS / first).exists():
        return first, function
    return own, part
