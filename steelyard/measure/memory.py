"""Peak resident memory of this process by phase.

`ru_maxrss` is inherited from the parent across exec and is therefore wrong for a worker. Linux lets a
process reset its own high-water mark (5 written to /proc/self/clear_refs) and read it (VmHWM).
"""

from pathlib import Path

from steelyard.core.metrics import Reading, absent

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_METHOD = "VmHWM after reset"


def reset_peak() -> str:
    """Reset the high-water mark. Returns the reason when the system does not allow it, else ''."""
    try:
        _CLEAR.write_text("5")
    except OSError as error:
        return f"peak memory cannot be reset here: {error.strerror}"
    return ""


def read_peak(reset_failed: str = "") -> Reading:
    """The peak since the last reset, in bytes; null with the reason where it cannot be known."""
    if reset_failed:
        return absent("B", reset_failed)
    return _field("VmHWM")


def _field(name: str) -> Reading:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError as error:
        return absent("B", f"{_STATUS} cannot be read: {error.strerror}")
    for line in lines:
        if line.startswith(f"{name}:"):
            return Reading(value=float(line.split()[1]) * 1024, unit="B", method=_METHOD)
    return absent("B", f"the kernel does not report {name}")
