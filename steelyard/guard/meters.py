"""The meters of this machine, and the one that covers a device."""

from pathlib import Path

from steelyard.core.metrics import Reading
from steelyard.guard.energy import Absent, EnergySource, Fault, Meter
from steelyard.guard.nvml import nvml_source
from steelyard.guard.rapl import POWERCAP, rapl_source


def sources(root: Path = POWERCAP) -> dict[str, EnergySource]:
    """Every kind of source by name; those that are not there are `Absent` with the reason."""
    return {"rapl": rapl_source(root), "nvml": nvml_source()}


def meter_for(device_kind: str, index: int = 0, root: Path = POWERCAP) -> Meter:
    """The meter whose boundary holds the device: RAPL for the CPU, the board's counter for CUDA."""
    if device_kind == "cpu":
        return Meter(rapl_source(root))
    if device_kind == "cuda":
        return Meter(nvml_source(index))
    return Meter(Absent(Fault(code="not_supported", detail=f"no energy meter is known for {device_kind}")))


def describe(source: EnergySource) -> Reading:
    """Its number of domains, or why it has none: what `bench doctor` shows."""
    if isinstance(source, Absent):
        return Reading(value=None, unit="1", reason=f"{source.fault.code}: {source.fault.detail}")
    names = ", ".join(domain.id for domain in source.domains())
    return Reading(value=float(len(source.domains())), unit="1", method=names)
