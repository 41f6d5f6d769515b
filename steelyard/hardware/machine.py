"""Which machine it is, without its name: what figures that are kept between runs are filed under."""

from collections.abc import Mapping
from typing import Any

from steelyard.core.hashing import stable_hash


def machine_key(environment: Mapping[str, Any]) -> str:
    """A hash that tells machines of different CPUs or memory apart, of what a fingerprint says and no name."""
    cpu = environment.get("cpu", {})
    names = ("model", "architecture", "vendor", "family", "model_number", "stepping", "online")
    memory = environment.get("memory_bytes")
    gibibytes = round(memory / 2**30) if isinstance(memory, int) else None
    return stable_hash([[cpu.get(name) for name in names] if isinstance(cpu, Mapping) else str(cpu), gibibytes], 16)
