"""A bound on the latency of a call: what lies far beyond it is not measured, and the best within it is looked for."""

from collections.abc import Mapping

FAR = 2.0
"""How many times the bound a call may take in the cold round. One of its calls says little, hence not once."""


def is_beyond(phases: Mapping[str, float], bound_s: float | None) -> bool:
    """Whether the second call of a cold launch took so long that the case is not launched again."""
    second_s = phases.get("second_run_s")
    return bound_s is not None and second_s is not None and second_s > FAR * bound_s
