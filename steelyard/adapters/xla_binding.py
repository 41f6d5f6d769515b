"""One input set of an XLA program: device arrays, and state that each call consumes and gives back."""

from collections.abc import Sequence
from typing import Any, Protocol

from steelyard.core.errors import SteelyardError, Unsupported, unknown_name
from steelyard.core.runner import Arrays, Binding
from steelyard.core.workload import Program


class Compiled(Protocol):
    """A program that is compiled: `call(weights, *arguments)`, and how an array of the host becomes an argument."""

    program: Program
    weights: tuple[Any, ...]
    call: Any

    def put(self, index: int, array: Any) -> Any:
        """An array of the host as the argument at a place."""


class XlaBinding(Binding):
    """Inputs as device arrays; state inputs are given to each call (donated) and its new state put in their place."""

    def __init__(self, executable: Compiled, arguments: Sequence[Any]) -> None:
        import jax

        self._wait, self._put = jax.block_until_ready, executable.put
        self._call, self._weights, self._arguments = executable.call, executable.weights, list(arguments)
        self._program = executable.program
        self._place = {spec.name: index for index, spec in enumerate(self._program.inputs)}
        self._returned = {spec.name: index for index, spec in enumerate(self._program.outputs)}
        state = [spec.name for spec in self._program.inputs if spec.role == "state"]
        self._carried = tuple((self._place[name], self._returned[name]) for name in state)
        self._adopted = tuple((self._place[name], name) for name in state)
        self._outputs: Sequence[Any] | None = None

    def run(self) -> None:  # noqa: D102
        outputs = self._call(self._weights, *self._arguments)
        self._wait(outputs)
        self._outputs = outputs

    def output(self, name: str) -> Any:
        """The device array of an output of the last run."""
        if self._outputs is None:
            raise SteelyardError(f"output '{name}' was asked for outside run() and settle(): call run() first")
        if name not in self._returned:
            raise unknown_name("output", name, self._returned)
        return self._outputs[self._returned[name]]

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        """See `Binding`; integers that XLA holds in 32 bits come back in the program's type."""
        import numpy as np

        found = {}
        for name in self._returned if names is None else names:
            array = self.output(name)
            dtype = self._program.outputs[self._returned[name]].dtype
            found[name] = np.array(array, dtype=array.dtype if dtype == "bfloat16" else dtype, copy=True)
        return found

    def settle(self) -> None:  # noqa: D102
        outputs = self._outputs
        if outputs is not None:
            for place, index in self._carried:
                self._arguments[place] = outputs[index]
        self._outputs = None

    def update(self, inputs: Arrays) -> None:  # noqa: D102
        for name, array in inputs.items():
            index = self._place[name]
            self._arguments[index] = self._put(index, array)

    def adopt(self, source: Binding) -> None:
        """Take the other binding's state arrays themselves; the next run consumes them."""
        if not isinstance(source, XlaBinding):
            raise SteelyardError(f"an XLA binding cannot adopt the state of a {type(source).__name__}")
        for place, name in self._adopted:
            self._arguments[place] = source.output(name)

    def device_seconds(self) -> float:  # noqa: D102
        raise Unsupported("JAX has no events on the clock of a device")

    def close(self) -> None:  # noqa: D102
        self._outputs, self._arguments = None, []
