"""The clocks of CPUs: the highest that the driver allows, the base clock, and the one that is shown now."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from steelyard.guard import proc
from steelyard.hardware.fact_values import absent

_NO_DRIVER = "no cpufreq driver is visible (usual in virtual machines)"


def highest_hz(cpus: Collection[int], root: Path = proc.ROOT) -> Any:
    """The highest clock of any of these CPUs, turbo included, or the reason why it is not known."""
    return _most(cpus, "cpuinfo_max_freq", _NO_DRIVER, root)


def base_hz(cpus: Collection[int], root: Path = proc.ROOT) -> Any:
    """The clock without turbo, as Intel's and AMD's drivers tell it, or the reason."""
    return _most(cpus, "base_frequency", "the cpufreq driver tells no base clock", root)


def shown_hz(root: Path = proc.ROOT) -> Any:
    """The clock of the first CPU as /proc/cpuinfo shows it now: in a virtual machine mostly that of the counter."""
    match = re.search(r"^cpu MHz\s*:\s*([\d.]+)", proc.text(root / "proc/cpuinfo") or "", re.MULTILINE)
    return float(match[1]) * 1e6 if match else absent("not in /proc/cpuinfo")


def _most(cpus: Collection[int], name: str, reason: str, root: Path) -> Any:
    base = root / "sys/devices/system/cpu"
    found = [proc.number(base / f"cpu{cpu}/cpufreq/{name}") for cpu in cpus]  # in kHz
    known = [value * 1e3 for value in found if value]
    return max(known) if known else absent(reason)
