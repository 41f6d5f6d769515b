"""What ONNX Runtime is asked for beyond its defaults: the tunings, and the options in brackets on top of them."""

from collections.abc import Mapping
from typing import Any

from steelyard.core import quantization

DEFAULT: Mapping[str, Any] = {
    "graph_optimization": "ORT_ENABLE_ALL",
    "optimization_loop": "1",
    "spinning": "true",
    "cpu_arena": True,
    "memory_pattern": True,
    "kv_cache": "in_place",
}
MAX: Mapping[str, Any] = {**DEFAULT, "optimization_loop": "2"}  # repeat the graph optimisers until nothing changes

ACCEPTS: Mapping[str, str] = {
    "opset": "standard ONNX of this operator set, 20 or 23; by default 23, with the runtime's own on a CPU",
    "kv_cache": "in_place (one buffer is input and output) or ping_pong (two buffers swap roles)",
    "spinning": "true or false: whether idle threads of the pool spin for a while before they sleep",
    "level": "optimisations of the graph: disabled, basic, extended, layout or all (the default)",
    **quantization.options(*quantization.KINDS),
}
_LEVELS = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "layout": "ORT_ENABLE_LAYOUT",
    "all": "ORT_ENABLE_ALL",
}
VALUES: Mapping[str, tuple[str, ...]] = {
    "kv_cache": ("in_place", "ping_pong"),
    "spinning": ("true", "false"),
    "level": tuple(_LEVELS),
    **dict.fromkeys(quantization.KINDS, ("true",)),
}
SEARCHED: Mapping[str, tuple[str, ...]] = {
    "level": tuple(_LEVELS)[:-1],
    "spinning": ("false",),
    "kv_cache": ("ping_pong",),
}
LADDER = (*(f"onnxruntime[level={level}]" for level in ("disabled", "basic", "extended")), "onnxruntime")
"""From the graph as it was exported to the default, in ONNX Runtime's own steps."""


def tuned(tuning: Mapping[str, Any], options: Mapping[str, str]) -> Mapping[str, Any]:
    """A tuning with the options in brackets on top of it."""
    own = {name: value for name, value in options.items() if name not in ("opset", "level")}
    level = {"graph_optimization": _LEVELS[options["level"]]} if "level" in options else {}
    return {**tuning, **own, **level}
