"""The total-energy counter of an NVIDIA board (Volta and later), in millijoules since the driver was loaded."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from steelyard.guard.energy import Absent, Count, Domain, EnergySource, Fault, Kind

_UPDATE_S = 0.1
"""The counter moves every 10 to 100 ms, depending on the board; the longest is assumed."""


class NvmlCounter(EnergySource):
    """One board, opened by index in NVML's order. `nvml` is the module `pynvml`, already initialised."""

    kind: ClassVar[Kind] = "counter"

    def __init__(self, nvml: Any, index: int, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.update_period_s = _UPDATE_S
        self._nvml = nvml
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._handle = nvml.nvmlDeviceGetHandleByIndex(index)
        self._domain = Domain(id=f"gpu_board:{index}", boundary="gpu_board")
        self._last_mj: int | None = None
        self._total_mj = 0
        self._faults = 0
        self._fault: Fault | None = None

    def domains(self) -> tuple[Domain, ...]:
        """The board."""
        return (self._domain,)

    def read(self) -> Mapping[str, Count]:
        """The board's joules since this object was made."""
        with self._lock:
            return {self._domain.id: self._advance()}

    @property
    def longest_gap_s(self) -> float:
        """A 64-bit counter of millijoules does not wrap."""
        return float("inf")

    def close(self) -> None:
        """End this use of NVML."""
        self._nvml.nvmlShutdown()

    def _advance(self) -> Count:
        try:
            raw = int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        except self._nvml.NVMLError as error:
            self._lose(fault_of(self._nvml, error))
            self._last_mj = None
            return Count(t_ns=self._clock_ns(), joules=None, faults=self._faults, fault=self._fault)
        now = self._clock_ns()
        if self._last_mj is not None and raw < self._last_mj:
            self._lose(Fault(code="counter_reset", detail="the board's energy counter went backwards"))
        elif self._last_mj is not None:
            self._total_mj += raw - self._last_mj
        self._last_mj = raw
        return Count(t_ns=now, joules=self._total_mj / 1e3, faults=self._faults, fault=self._fault)

    def _lose(self, fault: Fault) -> None:
        self._faults += 1
        self._fault = fault


def nvml_source(index: int = 0) -> EnergySource:
    """The counter of one board, or the source that says why there is none here."""
    try:
        import pynvml as nvml
    except ImportError:
        return Absent(Fault(code="no_device", detail="no NVML binding: pip install 'steelyard[cuda]'"))
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return Absent(fault_of(nvml, error))
    try:
        source = NvmlCounter(nvml, index)
        if shared := _mig(nvml, index):
            nvml.nvmlShutdown()
            return Absent(shared)
        first = next(iter(source.read().values()))
    except nvml.NVMLError as error:
        nvml.nvmlShutdown()
        return Absent(fault_of(nvml, error))
    if first.joules is None and first.fault is not None:
        source.close()
        return Absent(first.fault)
    return source


def fault_of(nvml: Any, error: Exception) -> Fault:
    """NVML's error as a reason code."""
    codes: Mapping[int, Any] = {
        nvml.NVML_ERROR_NOT_SUPPORTED: "not_supported",
        nvml.NVML_ERROR_FUNCTION_NOT_FOUND: "not_supported",
        nvml.NVML_ERROR_NO_PERMISSION: "no_permission",
        nvml.NVML_ERROR_GPU_IS_LOST: "vanished",
    }
    return Fault(code=codes.get(getattr(error, "value", 0), "no_device"), detail=f"NVML: {error}")


def _mig(nvml: Any, index: int) -> Fault | None:
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(nvml.nvmlDeviceGetHandleByIndex(index))
    except nvml.NVMLError:  # boards without MIG answer "not supported"
        return None
    if current != nvml.NVML_DEVICE_MIG_ENABLE:
        return None
    return Fault(code="mig_shared", detail="the board is split (MIG) and its counter covers all parts")
