"""Which backends have been seen to work on which kind of device: each by a run that is published with the project.

The CPU is not among them: there every backend is tried with each change. A target beyond it is a promise of the code
alone until a stored run from such a machine is published, and is called experimental wherever it is offered or told.
"""

from collections.abc import Iterable, Mapping

from steelyard.core.backend import BackendSpec

EXPERIMENTAL = "experimental: not seen on hardware"

SEEN: Mapping[tuple[str, str], str] = {}
"""The published run of each target that has one: by the backend's name with its provider, and the device kind."""


def is_seen(backend: BackendSpec, device_kind: str, seen: Mapping[tuple[str, str], str] = SEEN) -> bool:
    """Whether the backend, whatever its options, was seen to work on such a device."""
    return device_kind == "cpu" or (target(backend), device_kind) in seen


def unseen(
    backends: Iterable[BackendSpec], device_kind: str, seen: Mapping[tuple[str, str], str] = SEEN
) -> tuple[str, ...]:
    """The backends that are experimental on such a device, as the user writes them, each once."""
    return tuple(dict.fromkeys(backend.text for backend in backends if not is_seen(backend, device_kind, seen)))


def target(backend: BackendSpec) -> str:
    """`NAME[:PROVIDER]`: the backend without its options."""
    return BackendSpec(runner=backend.runner, provider=backend.provider).text
