"""Weights on a device, read from their file once for all programs of a launch that share them."""

from collections.abc import Callable, Sequence
from typing import Any


class StoredWeights:
    """What a launch has read of its files so far. `put` takes an array of the host to the device."""

    def __init__(self, put: Callable[[Any], Any]) -> None:
        self._put = put
        self._held: dict[tuple[str, str], Any] = {}

    def read(self, file: str, names: Sequence[str]) -> tuple[Any, ...]:
        """Those of these names in a safetensors file, as they are on the device."""
        import ml_dtypes  # noqa: F401 (numpy learns bfloat16 from it, which safetensors asks numpy for)
        from safetensors import safe_open

        with safe_open(file, framework="numpy") as stored:
            for name in names:
                if (file, name) not in self._held:
                    self._held[file, name] = self._put(stored.get_tensor(name))
        return tuple(self._held[file, name] for name in names)
