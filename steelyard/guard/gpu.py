"""Who else is on an NVIDIA board, and what holds it back: power cap, heat, slowed clocks. Read before anything runs."""

from collections.abc import Callable, Mapping
from typing import Any

from steelyard.core.metrics import Reading, absent
from steelyard.guard.nvml import fault_of
from steelyard.guard.visible import visible_at

_UNITS = {"gpu_processes": "1", "gpu_power_cap_share": "1", "gpu_slowdowns": "1", "gpu_temperature_k": "K"}

# An idle board reports "idle" and the clocks somebody asked for; these are the reasons that slow a program down.
SLOWDOWNS = {
    "SwPowerCap": "power cap",
    "HwSlowdown": "hardware slowdown",
    "SwThermalSlowdown": "heat (driver)",
    "HwThermalSlowdown": "heat (hardware)",
    "HwPowerBrakeSlowdown": "power brake",
}


def gpu_readings(index: int | None) -> Mapping[str, Reading]:
    """Of the device with CUDA's `index`; None where the run uses no GPU.

    Keys: `gpu_processes`, compute processes on the board (none of the run's own is there yet);
    `gpu_power_cap_share`, the enforced power limit over the board's default; `gpu_slowdowns`, how many
    reasons hold the clocks down now; `gpu_temperature_k`. What NVML does not tell is absent with its reason.
    """
    if index is None:
        return _none("the run uses no GPU")
    try:
        import pynvml as nvml
    except ImportError:
        return _none("no NVML binding: pip install 'steelyard[cuda]'")
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return _none(fault_of(nvml, error).detail)
    try:
        device = visible_at(nvml, index)
        return {
            name: _asked(nvml, name, read, device.part if name == "gpu_processes" else device.board)
            for name, read in _READERS.items()
        }
    except nvml.NVMLError as error:
        return _none(fault_of(nvml, error).detail)
    finally:
        nvml.nvmlShutdown()


def _none(reason: str) -> dict[str, Reading]:
    return {name: absent(unit, reason) for name, unit in _UNITS.items()}


def _asked(nvml: Any, name: str, read: Callable[[Any, Any], Reading], board: Any) -> Reading:
    try:
        return read(nvml, board)
    except nvml.NVMLError as error:
        return absent(_UNITS[name], fault_of(nvml, error).detail)


def _processes(nvml: Any, board: Any) -> Reading:
    found = nvml.nvmlDeviceGetComputeRunningProcesses(board)
    return Reading(value=float(len(found)), unit="1", method="NVML compute processes")


def _power_cap(nvml: Any, board: Any) -> Reading:
    enforced = nvml.nvmlDeviceGetEnforcedPowerLimit(board)
    usual = nvml.nvmlDeviceGetPowerManagementDefaultLimit(board)
    method = f"NVML: {enforced / 1000:.0f} W enforced, {usual / 1000:.0f} W by default"
    return Reading(value=enforced / usual, unit="1", method=method)


def _slowdowns(nvml: Any, board: Any) -> Reading:
    bits = nvml.nvmlDeviceGetCurrentClocksEventReasons(board)
    active = [says for name, says in SLOWDOWNS.items() if bits & getattr(nvml, f"nvmlClocksEventReason{name}")]
    method = f"NVML clock event reasons: {', '.join(active) or 'none that slows'}"
    return Reading(value=float(len(active)), unit="1", method=method)


def _temperature(nvml: Any, board: Any) -> Reading:
    celsius = nvml.nvmlDeviceGetTemperatureV(board, nvml.NVML_TEMPERATURE_GPU)
    return Reading(value=celsius + 273.15, unit="K", method="NVML, the GPU's own sensor")


_READERS: Mapping[str, Callable[[Any, Any], Reading]] = {
    "gpu_processes": _processes,
    "gpu_power_cap_share": _power_cap,
    "gpu_slowdowns": _slowdowns,
    "gpu_temperature_k": _temperature,
}
