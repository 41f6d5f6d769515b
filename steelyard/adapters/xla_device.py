"""The platforms that JAX runs on: their names, memory caps, compiler options, and what a compiled program tells."""

import importlib.metadata
import re
from collections.abc import Mapping
from typing import Any

from steelyard.core.backend import Budget, Device
from steelyard.core.errors import Unsupported
from steelyard.core.reason import said

PLATFORMS: Mapping[str, str] = {"cpu": "cpu", "cuda": "gpu", "rocm": "gpu", "tpu": "tpu"}
"""What a device says of its platform, by the kind that `jax.devices` and JAX_PLATFORMS take."""

_INSTALL = {
    "cuda": "pip install 'steelyard[cuda]'",
    "rocm": "pip install 'jax[rocm7-local]', or AMD's container with JAX",
    "tpu": "pip install 'jax[tpu]' on a machine with TPUs",
}
_MAX_GPU: Mapping[str, Any] = {"xla_gpu_exhaustive_tiling_search": True}
MAX: Mapping[str, Mapping[str, Any]] = {"cpu": {}, "cuda": _MAX_GPU, "rocm": {}, "tpu": {}}
"""Compiler options of the tuning `max` by device kind."""

ACCEPTS: Mapping[str, str] = {
    "level": "xla_backend_optimization_level: 0 to 3, which is XLA's own",
    "fusion": "off: each operator a kernel of its own, on a CPU",
}
VALUES: Mapping[str, tuple[str, ...]] = {"level": ("0", "1", "2", "3"), "fusion": ("off",)}
SEARCHED: Mapping[str, tuple[str, ...]] = {**VALUES, "level": ("0", "1", "2")}
LADDER = ("xla[level=0]", "xla[fusion=off]", "xla")
"""Without optimisations, with all but fusion, and as it is."""

_WITHOUT_FUSION = {"xla_disable_hlo_passes": "fusion"}
"""Of a CPU: each operator is then a kernel of its own, made as fused ones are. Other platforms fuse in other passes."""

_COMMAND_BUFFER = re.compile(r"to_apply=%?command_buffer")


def asked(options: Mapping[str, str], kind: str) -> Mapping[str, Any]:
    """Compiler options for those in brackets. Raises Unsupported for what they cannot be on a kind of device."""
    if "fusion" in options and kind != "cpu":
        raise Unsupported(f"xla[fusion=off] is for a CPU; on {kind} XLA fuses in several passes of other names")
    level = {"xla_backend_optimization_level": int(options["level"])} if "level" in options else {}
    return {**level, **(_WITHOUT_FUSION if "fusion" in options else {})}


def versions() -> dict[str, str]:
    """Of JAX and of the XLA inside it."""
    return {package: importlib.metadata.version(package) for package in ("jax", "jaxlib")}


def check_kind(kind: str) -> None:
    """Raises Unsupported for a kind of device that JAX has no platform for."""
    if kind not in PLATFORMS:
        raise Unsupported(f"XLA runs on no {kind}, only on {', '.join(PLATFORMS)}")


def no_device(kind: str, error: Exception) -> str:
    """Why JAX offers no device of a kind, and what to install."""
    hint = f" ({_INSTALL[kind]})" if kind in _INSTALL else ""
    return f"JAX offers no {kind} device: {said(error)}{hint}"


def allocator(device: Device, budget: Budget) -> Mapping[str, str]:
    """The variables of JAX's allocator on a GPU: it takes memory as it needs it, and at most the cap.

    Unasked it takes three quarters of the device when it starts, which says nothing of what a program needs and leaves
    no room for the launches that take turns with this one.
    """
    if PLATFORMS.get(device.kind) != "gpu":
        return {}
    cap, whole = budget.memory_cap_bytes, device.memory_bytes
    share = {} if cap is None or whole is None else {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{min(1.0, cap / whole):.6f}"}
    return {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", **share}


def check_cap(device: Device, budget: Budget) -> None:
    """Raises Unsupported where a cap was asked for that JAX cannot keep."""
    if device.kind == "cpu" or budget.memory_cap_bytes is None:
        return
    if device.kind == "tpu":
        raise Unsupported("JAX caps no memory of a TPU: leave --memory-cap out")
    if device.memory_bytes is None:
        raise Unsupported("XLA is limited to a share of the device's memory, and how much it has is not known")


def tf32(kind: str, loose_products: int) -> str:
    """Whether float32 products may be computed in fewer bits; `loose_products` were exported without HIGHEST."""
    if kind == "cpu":
        return "no such type on a CPU"
    if kind == "tpu":
        return "no such type on a TPU; products without HIGHEST run in bfloat16 passes" if loose_products else "off"
    return "allowed" if loose_products else "off"


def graphs(kind: str, flags: str) -> Mapping[str, Any]:
    """The row of the tuning table that says whether XLA records command buffers (CUDA or HIP graphs)."""
    if kind not in ("cuda", "rocm"):
        return {}
    found = re.search(r"--xla_gpu_enable_command_buffer=(\S*)", flags)
    return {
        "graphs": "command buffers, XLA's default set" if found is None else f"command buffers: {found[1] or 'none'}"
    }


def facts(device: Any, kind: str, hlo: str) -> Mapping[str, Any]:
    """What an accelerator and a program compiled for it tell: the platform's version, the command buffers called."""
    if kind == "cpu":
        return {}
    found = {"platform_version": str(device.client.platform_version)}
    return found | ({} if kind == "tpu" else {"command_buffers": len(_COMMAND_BUFFER.findall(hlo))})
