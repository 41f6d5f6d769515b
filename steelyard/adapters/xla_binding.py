"""One input set of an XLA program: state that each call consumes (donated) and gives back."""

from collections.abc import Sequence
from typing import Any, Protocol

from steelyard.adapters import arrays_binding
from steelyard.core.errors import Unsupported


class Compiled(arrays_binding.Compiled, Protocol):
    """A program that is compiled: `call(weights, *arguments)`."""

    weights: tuple[Any, ...]
    call: Any


class XlaBinding(arrays_binding.ArraysBinding):
    """State inputs are given to each call and its new state put in their place."""

    def __init__(self, executable: Compiled, arguments: Sequence[Any]) -> None:
        import jax

        super().__init__(executable, arguments)
        self._wait, self._call, self._weights = jax.block_until_ready, executable.call, executable.weights

    def run(self) -> None:  # noqa: D102
        outputs = self._call(self._weights, *self._arguments)
        self._wait(outputs)
        self._outputs = outputs

    def _fetch(self, array: Any) -> Any:
        return array

    def device_seconds(self) -> float:  # noqa: D102
        raise Unsupported("JAX has no events on the clock of a device")
