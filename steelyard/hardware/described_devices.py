"""What `bench hardware` tells: every device of this machine with its facts, and what it is declared or computed to
reach."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.core.errors import UsageError
from steelyard.core.profile import ComputedPeak, HardwareProfile
from steelyard.guard import proc
from steelyard.hardware.clock import base_hz, highest_hz, shown_hz
from steelyard.hardware.computed_peak import computed_peaks
from steelyard.hardware.cpu import cpu_facts, limits
from steelyard.hardware.devices import FoundDevice, identity_of, survey
from steelyard.hardware.fact_values import absent, value_or_absent
from steelyard.hardware.processors import allowed_cpus, default_cpus, format_cpus
from steelyard.hardware.profiles import declared


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedDevice:
    """A device; `facts` are plain values or `{"value": null, "reason": ...}`, `identity` a hash or None.

    `computed_peaks` are those of the cores that a run takes unasked, of a CPU without a profile. `reason` says why
    there is no profile, or no computed peak either.
    """

    device: str
    kind: str
    name: str
    memory_bytes: Any
    identity: str | None
    facts: Mapping[str, Any]
    profile: HardwareProfile | None
    computed_peaks: tuple[ComputedPeak, ...]
    reason: str


def described(root: Path = proc.ROOT) -> tuple[tuple[DescribedDevice, ...], Mapping[str, str]]:
    """Every device, and by kind why there is none of the other kinds."""
    here = survey(root)
    return tuple(_described(entry, root) for entry in here.found), here.reasons


def _described(entry: FoundDevice, root: Path) -> DescribedDevice:
    device = entry.device
    profile = declared(device)
    cpus, why = _cpus(root)
    facts = _processor(cpus, why, root) if device.kind == "cpu" else entry.facts
    peaks = computed_peaks(cpus, root) if device.kind == "cpu" and profile is None else ()
    return DescribedDevice(
        device=device.id,
        kind=device.kind,
        name=device.name,
        memory_bytes=entry.facts.get(
            "memory_bytes", value_or_absent(device.memory_bytes, "/proc/meminfo cannot be read")
        ),
        identity=identity_of(device, root),
        facts={name: fact for name, fact in facts.items() if name not in ("name", "model", "memory_bytes")},
        profile=profile,
        computed_peaks=peaks,
        reason=_reason(device.kind, profile, peaks, facts),
    )


def _cpus(root: Path) -> tuple[tuple[int, ...], str]:
    """The CPUs that a run takes unasked, and why none can be told."""
    try:
        return default_cpus(root), ""
    except UsageError as error:
        return (), str(error)


def _processor(cpus: tuple[int, ...], why: str, root: Path) -> dict[str, Any]:
    """The facts of the fingerprint, clocks, and what this process is allowed of it."""
    allowed = {f"limit_{name}": fact for name, fact in limits(root).items()}
    return {
        **cpu_facts(root),
        "clock_max_hz": highest_hz(cpus, root),
        "clock_base_hz": base_hz(cpus, root),
        "clock_shown_hz": shown_hz(root),
        "cpus_allowed": format_cpus(allowed_cpus()) if cpus else absent(why),
        "cpus_of_a_run": value_or_absent(format_cpus(cpus), why),
        **allowed,
    }


def _reason(
    kind: str, profile: HardwareProfile | None, peaks: tuple[ComputedPeak, ...], facts: Mapping[str, Any]
) -> str:
    if profile is not None or peaks:
        return ""
    none = "no hardware profile has a name that fits this one; docs/hardware.md says how to add one"
    if kind != "cpu":
        return none
    clock = facts["clock_max_hz"]
    why = clock["reason"] if isinstance(clock, dict) else "the instruction sets have no known rate"
    return f"{none}. No peak is computed: {why}"
