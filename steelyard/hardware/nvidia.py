"""NVIDIA devices through NVML, as CUDA counts them. No serial number is told, and of a UUID its hash alone."""

from collections.abc import Callable
from typing import Any, TypeVar

from steelyard.core.backend import Device
from steelyard.core.hashing import stable_hash
from steelyard.guard.visible import Visible, visible
from steelyard.hardware.fact_values import absent, value_of

T = TypeVar("T")


def nvidia_devices() -> tuple[tuple[Device, ...], str]:
    """The devices, and why there are none if so."""
    boards, reason = nvidia_facts()
    devices = tuple(
        Device(kind="cuda", index=index, name=board["name"], memory_bytes=board["memory_bytes"])
        for index, board in enumerate(boards)
    )
    return devices, reason


def nvidia_facts() -> tuple[list[dict[str, Any]], str]:
    """Per device: name, memory, driver, clocks, power cap, ECC, MIG, persistence; and why there is none if so."""

    def ask(nvml: Any) -> list[dict[str, Any]]:
        driver = _text(nvml.nvmlSystemGetDriverVersion())
        cuda = nvml.nvmlSystemGetCudaDriverVersion()
        shared = {"driver": driver, "cuda_driver": f"{cuda // 1000}.{cuda % 1000 // 10}"}
        return [{**_facts(nvml, device), **shared} for device in visible(nvml)]

    found, reason = _asked(ask)
    return found or [], reason or ("" if found else "NVML finds no device that CUDA_VISIBLE_DEVICES lets be seen")


def nvidia_identities() -> dict[int, str]:
    """By CUDA's index, what tells the device from all others: a hash of its UUID. Empty where NVML tells none."""

    def ask(nvml: Any) -> dict[int, str]:
        return {index: stable_hash(device.uuids[0], 16) for index, device in enumerate(visible(nvml)) if device.uuids}

    return _asked(ask)[0] or {}


def _asked(ask: Callable[[Any], T]) -> tuple[T | None, str]:
    """The answer of NVML's binding, initialised; None with the reason where there is none."""
    try:
        import pynvml as nvml
    except ImportError:
        return None, "the NVML binding is not installed: pip install 'steelyard[cuda]'"
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return None, f"no NVIDIA driver is loaded (NVML: {error})"
    try:
        return ask(nvml), ""
    except nvml.NVMLError as error:
        return None, f"NVML failed: {error}"
    finally:
        nvml.nvmlShutdown()


def _facts(nvml: Any, device: Visible) -> dict[str, Any]:
    def ask(function: str, *arguments: Any) -> Any:
        """The answer, or a null with NVML's reason: boards and drivers differ in what they tell."""
        try:
            return getattr(nvml, function)(device.board, *arguments)
        except nvml.NVMLError as error:
            return absent(f"NVML: {error}")

    memory = nvml.nvmlDeviceGetMemoryInfo(device.part)
    power = ask("nvmlDeviceGetEnforcedPowerLimit")
    mig = ask("nvmlDeviceGetMigMode")
    ecc = ask("nvmlDeviceGetEccMode")
    return {
        "name": _text(nvml.nvmlDeviceGetName(device.part)),
        "memory_bytes": int(memory.total),
        "compute_capability": ask("nvmlDeviceGetCudaComputeCapability"),
        "vbios": _plain(ask("nvmlDeviceGetVbiosVersion")),
        "power_cap_w": power / 1000 if isinstance(power, int) else power,
        "sm_clock_max_hz": _hertz(ask("nvmlDeviceGetMaxClockInfo", nvml.NVML_CLOCK_SM)),
        "memory_clock_max_hz": _hertz(ask("nvmlDeviceGetMaxClockInfo", nvml.NVML_CLOCK_MEM)),
        "persistence": ask("nvmlDeviceGetPersistenceMode"),
        "mig": mig if value_of(mig) is None else bool(mig[0]),
        "ecc": ecc if value_of(ecc) is None else bool(ecc[0]),
    }


def _hertz(megahertz: Any) -> Any:
    return megahertz * 1_000_000 if isinstance(megahertz, int) else megahertz


def _plain(value: Any) -> Any:
    return _text(value) if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
