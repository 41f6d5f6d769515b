"""An NVIDIA board through NVML: its total-energy counter (Volta and later), or its power read now and then."""

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from steelyard.core.energy import Kind
from steelyard.guard.energy_source import Absent, EnergySource
from steelyard.guard.meter_readings import Counts, Domain, Fault
from steelyard.guard.unwrap import Integrated, Unwrapped
from steelyard.guard.visible import visible_at

_UPDATE_S = 0.1
"""Counter and power move every 10 to 100 ms, depending on the board; the longest is declared until it is measured."""
_UNIT_J = 1e-3


class _Board(EnergySource):
    """One board, opened by CUDA's index. `nvml` is the module `pynvml`, already initialised."""

    def __init__(self, nvml: Any, index: int, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        super().__init__(clock_ns)
        self.update_period_s = _UPDATE_S
        self._nvml = nvml
        self._handle = visible_at(nvml, index).board
        self._domain = Domain(id=f"gpu_board:{index}", boundary="gpu_board")

    def domains(self) -> tuple[Domain, ...]:
        """The board."""
        return (self._domain,)

    def close(self) -> None:
        """End this use of NVML."""
        self._nvml.nvmlShutdown()

    def _instant_w(self) -> float:
        """The board's power now; older boards have no field for it and tell an average of the last second instead."""
        nvml = self._nvml
        (value,) = nvml.nvmlDeviceGetFieldValues(self._handle, [nvml.NVML_FI_DEV_POWER_INSTANT])
        if value.nvmlReturn == nvml.NVML_SUCCESS:
            return float(value.value.uiVal) / 1e3
        return float(nvml.nvmlDeviceGetPowerUsage(self._handle)) / 1e3


class NvmlCounter(_Board):
    """The counter, in millijoules since the driver was loaded; 64 bits, which do not wrap.

    With `power` each read tells the board's power as well: a cross-check, at the cost of another driver call.
    """

    name: ClassVar[str] = "nvml"
    kind: ClassVar[Kind] = "counter"

    def __init__(
        self, nvml: Any, index: int, clock_ns: Callable[[], int] = time.monotonic_ns, *, power: bool = False
    ) -> None:
        super().__init__(nvml, index, clock_ns)
        self.resolution_j = _UNIT_J
        self._power = power
        self._counter = Unwrapped(unit_j=_UNIT_J, range_=None, slack_s=_UPDATE_S, endless=True)

    def _read(self) -> Counts:
        """The board's joules since this object was made."""
        raw: int | Fault
        try:
            raw = int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        except self._nvml.NVMLError as error:
            raw = fault_of(self._nvml, error)
        now = self._clock_ns()
        return {self._domain.id: self._counter.advance(raw, now, self._told_w())}

    def _told_w(self) -> float | None:
        if not self._power:
            return None
        try:
            return self._instant_w()
        except self._nvml.NVMLError:  # no cross-check then
            return None


class NvmlPower(_Board):
    """The board's power, read now and then: for boards whose counter is not supported."""

    name: ClassVar[str] = "nvml-power"
    kind: ClassVar[Kind] = "power_sampled"

    def __init__(self, nvml: Any, index: int, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        super().__init__(nvml, index, clock_ns)
        self._integrated = Integrated()

    def _read(self) -> Counts:
        """The integral of the power over the reads so far."""
        watts: float | Fault
        try:
            watts = self._instant_w()
        except self._nvml.NVMLError as error:
            watts = fault_of(self._nvml, error)
        return {self._domain.id: self._integrated.advance(watts, self._clock_ns())}


def nvml_source(index: int = 0) -> EnergySource:
    """The counter of one board, else its power, or the source that says why there is neither here."""
    try:
        import pynvml as nvml
    except ImportError:
        return Absent(Fault(code="no_device", detail="no NVML binding: pip install 'steelyard[cuda]'"))
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return Absent(fault_of(nvml, error))
    try:
        if shared := _mig(nvml, index):
            return _closed(nvml, shared)
        refusals: list[Fault] = []
        for make in (lambda: NvmlCounter(nvml, index, power=True), lambda: NvmlPower(nvml, index)):
            source: EnergySource = make()
            first = next(iter(source.read().values()))
            if first.joules is not None:
                return source
            refusals.append(first.fault or Fault(code="not_supported", detail="NVML told nothing"))
        return _closed(nvml, refusals[0])
    except nvml.NVMLError as error:
        return _closed(nvml, fault_of(nvml, error))


def fault_of(nvml: Any, error: Exception) -> Fault:
    """NVML's error as a reason code."""
    codes: Mapping[int, Any] = {
        nvml.NVML_ERROR_NOT_SUPPORTED: "not_supported",
        nvml.NVML_ERROR_FUNCTION_NOT_FOUND: "not_supported",
        nvml.NVML_ERROR_NO_PERMISSION: "no_permission",
        nvml.NVML_ERROR_GPU_IS_LOST: "vanished",
    }
    return Fault(code=codes.get(getattr(error, "value", 0), "no_device"), detail=f"NVML: {error}")


def _closed(nvml: Any, fault: Fault) -> Absent:
    nvml.nvmlShutdown()
    return Absent(fault)


def _mig(nvml: Any, index: int) -> Fault | None:
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(visible_at(nvml, index).board)
    except nvml.NVMLError:  # boards without MIG answer "not supported"
        return None
    if current != nvml.NVML_DEVICE_MIG_ENABLE:
        return None
    return Fault(code="mig_shared", detail="the board is split (MIG) and its counter covers all parts")
