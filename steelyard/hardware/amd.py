"""AMD's GPUs, as the driver amdgpu and the kernel's compute topology show them. No identity is told, but hashed.

Files and their units: Linux, Documentation/gpu/amdgpu (product_name, mem_info_vram_total, hwmon power1_cap in
microwatts) and drivers/gpu/drm/amd/amdkfd/kfd_topology.c (clocks in MHz, memory banks in bytes). Which architectures
are those of processors with a GPU that shares their memory: LLVM, User Guide for AMDGPU Backend, table of processors.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.core.hashing import stable_hash
from steelyard.guard import pci, proc
from steelyard.guard.visible_amd import Node, numbers, visible_nodes
from steelyard.hardware.fact_values import absent, value_or_absent
from steelyard.hardware.names import amd_product, pci_name

_INTEGRATED = ("gfx902", "gfx909", "gfx90c", "gfx1013", "gfx1033", "gfx1035", "gfx1036", "gfx1103", "gfx1150",
               "gfx1151", "gfx1152", "gfx1153")  # fmt: skip
_WHOLE = "SPX"
_FRAMEBUFFERS = (1, 2)  # of the kinds of memory banks, those of the board's own memory: public and private


def amd_facts(root: Path = proc.ROOT) -> tuple[list[dict[str, Any]], str]:
    """Per device: name, memory, architecture, compute units, clocks, power cap, driver; why there is none if so."""
    found = [_facts(node, root) for node in visible_nodes(root)]
    return found, "" if found else _none(root)


def amd_identities(root: Path = proc.ROOT) -> dict[int, str]:
    """By ROCm's index, what tells the device from all others: a hash of its UUID or, without one, of its place."""
    return {
        index: stable_hash([node.uuid or node.address, node.part], 16) for index, node in enumerate(visible_nodes(root))
    }


def _none(root: Path) -> str:
    if not (root / "sys/class/kfd/kfd/topology/nodes").is_dir():
        loaded = (root / "sys/module/amdgpu").is_dir()
        what = "the driver amdgpu shows no compute topology" if loaded else "no driver amdgpu is loaded"
        return f"{what} (/sys/class/kfd): install AMD's driver, for a container on its host"
    if not any((root / "dev/dri").glob("renderD*")):
        return "the driver amdgpu is loaded, but no /dev/dri/renderD* is here: give the container /dev/kfd and /dev/dri"
    return "no GPU of /sys/class/kfd has its /dev/dri/renderD* here and is chosen by the *_VISIBLE_DEVICES variables"


def _facts(node: Node, root: Path) -> dict[str, Any]:
    board = root / "sys/bus/pci/devices" / node.address
    version = proc.text(root / "sys/module/amdgpu/version")
    architecture = _architecture(node.properties.get("gfx_target_version", 0))
    partition = proc.text(board / "current_compute_partition") or ""
    whole = partition in ("", _WHOLE)
    name = _name(board, node, architecture, root)
    units = node.properties["simd_count"] // (node.properties.get("simd_per_cu") or node.properties["simd_count"])
    return {
        # No profile must fit a part: what is declared is that of the whole.
        "name": name if whole else f"{name.replace('Instinct ', '')} part ({partition})",
        "memory_bytes": value_or_absent(_memory(node), "the compute topology tells no memory of its own"),
        "integrated": architecture in _INTEGRATED,
        "architecture": value_or_absent(architecture, "the compute topology tells none"),
        "compute_units": value_or_absent(
            units if "simd_per_cu" in node.properties else None, "the compute topology tells none"
        ),
        "partition": value_or_absent(partition, "the board has no partitioned modes"),
        "clock_max_hz": _hertz(node.properties.get("max_engine_clk_fcompute")),
        "memory_clock_max_hz": _hertz(max((bank.get("mem_clk_max", 0) for bank in _banks(node)), default=0)),
        "power_cap_w": power_w(board, "power1_cap"),
        "driver": value_or_absent(
            version and f"amdgpu {version}", "amdgpu of the kernel, which has no version of its own"
        ),
        "vbios": value_or_absent(proc.text(board / "vbios_version"), "the driver tells none"),
    }


def power_w(device: Path, *names: str) -> Any:
    """A limit in watts that a device's own hwmon tells in microwatts, by the first of the files that has one."""
    for name in names:
        for path in pci.by_number(device.glob(f"hwmon/hwmon*/{name}")):
            if value := proc.number(path):
                return value * 1e-6
    return absent(f"no {' or '.join(names)} in the device's hwmon")


def _name(board: Path, node: Node, architecture: str, root: Path) -> str:
    """The product's name: the board's own, AMD's list, AMD's library, pci.ids; else what the ids say."""
    if product := proc.text(board / "product_name"):
        return product
    device = node.properties.get("device_id", 0)
    revision = int(proc.text(board / "revision") or "0", 16)
    if product := amd_product(device, revision, root) or _market_name(node.address):
        return product
    if listed := pci_name(0x1002, device, root):
        return listed if listed.startswith("AMD") else f"AMD {listed}"
    return f"AMD GPU 1002:{device:04x} ({architecture or 'unknown architecture'})"


def _market_name(address: str) -> str | None:
    """What the package `amdsmi` calls the board, where it is installed and finds its library."""
    try:
        import amdsmi as smi  # type: ignore[import-not-found,unused-ignore]
    except Exception:  # noqa: BLE001 (without its library the import raises KeyError, OSError or more)
        return None
    try:
        smi.amdsmi_init()
    except smi.AmdSmiException:
        return None
    try:
        handle = smi.amdsmi_get_processor_handle_from_bdf(address)
        return str(smi.amdsmi_get_gpu_asic_info(handle)["market_name"]) or None
    except (smi.AmdSmiException, KeyError, TypeError, ValueError):
        return None
    finally:
        smi.amdsmi_shut_down()


def _architecture(version: int) -> str:
    """`gfx942` of 90402: major, minor and stepping as the topology packs them, the last two in hexadecimal."""
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}" if version else ""


def _banks(node: Node) -> list[Mapping[str, int]]:
    paths = pci.by_number((node.folder / "mem_banks").glob("[0-9]*"))
    return [bank for path in paths if (bank := numbers(proc.text(path / "properties")))]


def _memory(node: Node) -> int | None:
    banks = [bank for bank in _banks(node) if bank.get("heap_type") in _FRAMEBUFFERS]
    return sum(bank.get("size_in_bytes", 0) for bank in banks) or None


def _hertz(megahertz: int | None) -> Any:
    return megahertz * 1_000_000 if megahertz else absent("the compute topology tells none")
