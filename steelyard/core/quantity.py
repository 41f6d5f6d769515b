"""Sizes and durations as people write them."""

import re

from steelyard.core.errors import UsageError

_BYTES = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_LATENCIES = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def bytes_of(text: str) -> int:
    """Bytes from a number with a decimal (KB, MB, GB, TB) or binary (KiB, MiB, GiB) unit. Raises UsageError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].upper() not in _BYTES:
        raise UsageError(f"'{text}' is not a size: give a number and a unit, e.g. 20GB, 500MiB or 0")
    return int(float(match[1]) * _BYTES[match[2].upper()])


def seconds_of(text: str) -> float:
    """Seconds from a duration such as 90s, 20m or 2h; a bare number is seconds. Raises UsageError naming the form."""
    scale = _SECONDS.get(text[-1:])
    try:
        value = float(text[:-1] if scale else text) * (scale or 1.0)
    except ValueError:
        raise UsageError(f"--time '{text}' is not a duration: write 90s, 20m or 2h") from None
    if not 0 < value < float("inf"):
        raise UsageError(f"--time '{text}' must be more than nothing")
    return value


def latency_of(text: str) -> float:
    """Seconds from a latency such as 800us, 50ms or 1.5s. Raises UsageError naming the form."""
    unit = next((unit for unit in _LATENCIES if text.endswith(unit)), "")
    try:
        value = float(text.removesuffix(unit)) * _LATENCIES[unit] if unit else 0.0
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UsageError(f"--latency-bound '{text}' is not a latency: write 800us, 50ms or 1.5s")
    return value
