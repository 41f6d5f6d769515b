"""Memory of this process on its device as the driver sees it: everything, the runtime's own context included."""

import os
from collections.abc import Mapping
from typing import Any, Protocol

from steelyard.core.metrics import Reading, absent, raised
from steelyard.guard.nvml import fault_of
from steelyard.guard.visible import visible_at

_NO_PEAK = "the driver keeps the peaks of processes in accounting mode only (nvidia-smi --accounting-mode=1)"


class DeviceMemory(Protocol):
    """The driver's view of one phase."""

    def begin(self) -> None:
        """A phase begins."""

    def readings(self) -> Mapping[str, Reading]:
        """`device_used_bytes` and `device_peak_bytes` of the phase that ends."""


class NoDriver:
    """A device of which no driver tells the memory of a process; its readings say why. A CPU has none apart."""

    def __init__(self, kind: str, reason: str = "") -> None:
        self._told: Mapping[str, Reading] = {}
        if kind != "cpu":
            unknown = absent("B", reason or f"no driver is asked for the memory of a process on {kind}")
            self._told = {"device_used_bytes": unknown, "device_peak_bytes": unknown}

    def begin(self) -> None:
        """See `DeviceMemory`."""

    def readings(self) -> Mapping[str, Reading]:
        """See `DeviceMemory`."""
        return self._told


class NvmlMemory:
    """One NVIDIA device, by CUDA's index. `nvml` is the module `pynvml`, already initialised.

    In a container the board's list has the process ids of the host, and this process is not found in it: then
    what the whole board holds more than before the launch is given, and labelled so.
    """

    def __init__(self, nvml: Any, index: int, pid: int | None = None) -> None:
        self._nvml, self._pid = nvml, os.getpid() if pid is None else pid
        self._board = visible_at(nvml, index).part
        self._held_before = int(nvml.nvmlDeviceGetMemoryInfo(self._board).used)
        self._mark: int | None = None

    def begin(self) -> None:
        """See `DeviceMemory`."""
        self._mark = self._accounted()

    def readings(self) -> Mapping[str, Reading]:
        """See `DeviceMemory`."""
        return {"device_used_bytes": self._used(), "device_peak_bytes": self._peak()}

    def _used(self) -> Reading:
        nvml = self._nvml
        try:
            listed = nvml.nvmlDeviceGetComputeRunningProcesses(self._board)
            own = [int(p.usedGpuMemory) for p in listed if p.pid == self._pid and p.usedGpuMemory is not None]
            if own:
                return Reading(value=float(sum(own)), unit="B", method="NVML, this process, at the end of the phase")
            more = int(nvml.nvmlDeviceGetMemoryInfo(self._board).used) - self._held_before
        except nvml.NVMLError as error:
            return absent("B", fault_of(nvml, error).detail)
        if more <= 0:
            return absent("B", "NVML does not list this process, and the board holds no more than before the launch")
        method = "NVML, the whole board less what it held before the launch: NVML does not list this process"
        return Reading(value=float(more), unit="B", method=method)

    def _peak(self) -> Reading:
        return raised(self._mark or 0, self._accounted(), method="NVML accounting", refused=_NO_PEAK)

    def _accounted(self) -> int | None:
        """The highest use since the process began; None out of accounting mode, or before it used the board."""
        try:
            if self._nvml.nvmlDeviceGetAccountingMode(self._board) != self._nvml.NVML_FEATURE_ENABLED:
                return None
            return int(self._nvml.nvmlDeviceGetAccountingStats(self._board, self._pid).maxMemoryUsage)
        except self._nvml.NVMLError:
            return None


def device_memory(kind: str, index: int) -> DeviceMemory:
    """What tells the memory of this process on a device, or says why nothing does."""
    if kind != "cuda":
        return NoDriver(kind)
    try:
        import pynvml as nvml
    except ImportError:
        return NoDriver(kind, "no NVML binding: pip install 'steelyard[cuda]'")
    try:
        nvml.nvmlInit()
        return NvmlMemory(nvml, index)
    except nvml.NVMLError as error:
        return NoDriver(kind, fault_of(nvml, error).detail)
