"""NVIDIA boards through NVML, in NVML's order. No serial number and no UUID is told."""

from typing import Any

from steelyard.core.backend import Device
from steelyard.hardware.facts import absent


def nvidia_devices() -> tuple[tuple[Device, ...], str]:
    """The boards, and why there are none if so."""
    boards, reason = nvidia_facts()
    devices = tuple(
        Device(kind="cuda", index=index, name=board["name"], memory_bytes=board["memory_bytes"])
        for index, board in enumerate(boards)
    )
    return devices, reason


def nvidia_facts() -> tuple[list[dict[str, Any]], str]:
    """Per board: name, memory, driver, clocks, power cap, ECC, MIG, persistence; and why there is none if so."""
    try:
        import pynvml as nvml
    except ImportError:
        return [], "the NVML binding is not installed: pip install 'steelyard[cuda]'"
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return [], f"no NVIDIA driver is loaded (NVML: {error})"
    try:
        driver = _text(nvml.nvmlSystemGetDriverVersion())
        cuda = nvml.nvmlSystemGetCudaDriverVersion()
        boards = [_board(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
        shared = {"driver": driver, "cuda_driver": f"{cuda // 1000}.{cuda % 1000 // 10}"}
        return [{**board, **shared} for board in boards], "" if boards else "NVML finds no board"
    except nvml.NVMLError as error:
        return [], f"NVML failed: {error}"
    finally:
        nvml.nvmlShutdown()


def _board(nvml: Any, index: int) -> dict[str, Any]:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)

    def ask(function: str, *arguments: Any) -> Any:
        """The answer, or a null with NVML's reason: boards and drivers differ in what they tell."""
        try:
            return getattr(nvml, function)(handle, *arguments)
        except nvml.NVMLError as error:
            return absent(f"NVML: {error}")

    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    power = ask("nvmlDeviceGetEnforcedPowerLimit")
    mig = ask("nvmlDeviceGetMigMode")
    ecc = ask("nvmlDeviceGetEccMode")
    return {
        "name": _text(nvml.nvmlDeviceGetName(handle)),
        "memory_bytes": int(memory.total),
        "compute_capability": ask("nvmlDeviceGetCudaComputeCapability"),
        "vbios": _plain(ask("nvmlDeviceGetVbiosVersion")),
        "power_cap_w": power / 1000 if isinstance(power, int) else power,
        "sm_clock_max_hz": _hertz(ask("nvmlDeviceGetMaxClockInfo", nvml.NVML_CLOCK_SM)),
        "memory_clock_max_hz": _hertz(ask("nvmlDeviceGetMaxClockInfo", nvml.NVML_CLOCK_MEM)),
        "persistence": ask("nvmlDeviceGetPersistenceMode"),
        "mig": mig if isinstance(mig, dict) else bool(mig[0]),
        "ecc": ecc if isinstance(ecc, dict) else bool(ecc[0]),
    }


def _hertz(megahertz: Any) -> Any:
    return megahertz * 1_000_000 if isinstance(megahertz, int) else megahertz


def _plain(value: Any) -> Any:
    return _text(value) if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
