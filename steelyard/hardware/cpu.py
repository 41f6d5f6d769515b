"""What the CPU is, out of /proc/cpuinfo and /sys: facts for the fingerprint and the device's name."""

import platform
import re
from pathlib import Path
from typing import Any

from steelyard.guard import cgroup, proc
from steelyard.hardware.arm import core_name
from steelyard.hardware.fact_values import absent

# Instruction sets that decide which kernels a runtime picks.
_ISA = [
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "avx_vnni",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "amx_fp16",
    "asimd",
    "asimddp",
    "fphp",
    "sve",
    "sve2",
    "i8mm",
    "bf16",
    "sme",
]


def cpu_name(root: Path = proc.ROOT) -> str:
    """The model's name as the kernel prints it; of an Arm processor that of its cores, else the architecture."""
    info = _cpuinfo(root)
    name = info.get("model name") or info.get("Processor") or info.get("cpu model")
    name = name or core_name(info.get("CPU implementer"), info.get("CPU part"))
    return re.sub(r"\s+", " ", name) if name else f"{platform.machine()} processor"


def cpu_facts(root: Path = proc.ROOT) -> dict[str, Any]:
    """Model, family, caches, cores, instruction sets."""
    info = _cpuinfo(root)
    present = set((info.get("flags") or info.get("Features") or "").split())
    base = root / "sys/devices/system/cpu"
    return {
        "model": cpu_name(root),
        "architecture": platform.machine(),
        "vendor": info.get("vendor_id") or info.get("CPU implementer") or absent("not in /proc/cpuinfo"),
        "family": _integer(info.get("cpu family")),
        "model_number": _integer(info.get("model")),
        "stepping": _integer(info.get("stepping")),
        "microcode": info.get("microcode") or absent("not in /proc/cpuinfo"),
        "isa": [name for name in _ISA if name in present] or absent("not in /proc/cpuinfo"),
        "online": len(proc.cpu_ticks(root)) or absent("/proc/stat cannot be read"),
        "cores": _cores(base) or absent("no topology in /sys"),
        "sockets": _sockets(base) or absent("no topology in /sys"),
        "smt": proc.text(base / "smt/control") or absent("no SMT switch in /sys"),
        "caches": _caches(base / "cpu0/cache") or absent("no cache description in /sys"),
        "numa_nodes": len(list((root / "sys/devices/system/node").glob("node[0-9]*"))) or absent("no NUMA in /sys"),
    }


def limits(root: Path = proc.ROOT) -> dict[str, Any]:
    """What a container or service allows: CPUs' worth of time, and memory."""
    quota, memory = cgroup.cpu_quota(root), cgroup.memory_limit(root)
    return {
        "cpu_quota": quota.value if quota.value is not None else absent(quota.reason),
        "memory_bytes": round(memory.value) if memory.value is not None else absent(memory.reason),
    }


def memory_bytes(root: Path = proc.ROOT) -> int | None:
    """Main memory, or the cgroup's limit where that is less; None if /proc/meminfo cannot be read."""
    match = re.search(r"^MemTotal:\s+(\d+) kB", proc.text(root / "proc/meminfo") or "", re.MULTILINE)
    if match is None:
        return None
    limit = cgroup.memory_limit(root).value
    total = int(match[1]) * 1024
    return total if limit is None else min(total, round(limit))


def _cpuinfo(root: Path) -> dict[str, str]:
    """The first CPU's fields and, on ARM, the common ones at the end."""
    fields: dict[str, str] = {}
    for line in (proc.text(root / "proc/cpuinfo") or "").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    return fields


def _integer(text: str | None) -> Any:
    return int(text) if text is not None and text.isdecimal() else absent("not in /proc/cpuinfo")


def _cores(base: Path) -> int:
    return len({(proc.text(path.parent / "physical_package_id"), proc.text(path)) for path in _topology(base)})


def _sockets(base: Path) -> int:
    return len({proc.text(path.parent / "physical_package_id") for path in _topology(base)})


def _topology(base: Path) -> list[Path]:
    return list(base.glob("cpu[0-9]*/topology/core_id"))


def _caches(base: Path) -> list[dict[str, Any]]:
    found = []
    for index in sorted(base.glob("index[0-9]*")):
        size = re.fullmatch(r"(\d+)K", proc.text(index / "size") or "")
        level = proc.number(index / "level")
        if size and level is not None:
            found.append(
                {
                    "level": int(level),
                    "type": proc.text(index / "type"),
                    "bytes": int(size[1]) * 1024,
                    "shared_by": proc.text(index / "shared_cpu_list"),
                }
            )
    return found
