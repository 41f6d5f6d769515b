"""Post-training quantization, asked of a backend by its kind: `NAME[int8]`.

A quantized backend computes something else than the program, within what its kind is known to lose: up to that error
its outputs pass and are marked `approximate`, as under a tolerance stated by hand (`steelyard.core.tolerance`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from steelyard.core.backend import BackendSpec
from steelyard.core.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`allowed` is the relative error |out - ref| / |ref| up to which outputs pass unless another is stated."""

    meaning: str
    allowed: float


KINDS: Mapping[str, Kind] = {
    "int8": Kind(meaning="weights and activations in 8 bits, ranges from the input sets", allowed=0.2),
    "int8_weights": Kind(meaning="weights alone in 8 bits", allowed=0.2),
    "int4_weights": Kind(meaning="weights alone in 4 bits, in groups of 32", allowed=0.5),
}


def kind_of(backend: BackendSpec) -> str:
    """The kind that a backend is asked for; empty without one. Raises UsageError for two."""
    found = [name for name in KINDS if backend.options.get(name) == "true"]
    if len(found) > 1:
        raise UsageError(f"{backend.text}: quantized in one way at a time: {' or '.join(found)}")
    return found[0] if found else ""


def allowed(backend: BackendSpec) -> float | None:
    """The error up to which a quantized backend's outputs pass; None for one that is not quantized."""
    kind = KINDS.get(kind_of(backend))
    return None if kind is None else kind.allowed


def formats(plain: str, backend: BackendSpec) -> tuple[str, ...]:
    """What a backend needs that consumes a format: that, and quantized what is made of it, which it loads then."""
    kind = kind_of(backend)
    return (plain, f"{plain}@{kind}") if kind else (plain,)


def options(*kinds: str) -> dict[str, str]:
    """The options of a runner that takes these kinds, with their meaning."""
    return {name: f"quantized after training: {KINDS[name].meaning}" for name in kinds}
