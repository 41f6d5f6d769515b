"""One input set of a runtime whose calls take arrays of the device and give back new ones."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

from steelyard.core.errors import SteelyardError, UsageError, unknown_name
from steelyard.core.runner import Arrays, Binding
from steelyard.core.workload import Program


class Compiled(Protocol):
    """A program that is compiled, and how an array of the host becomes one of its arguments."""

    program: Program

    def put(self, index: int, array: Any) -> Any:
        """An array of the host as the argument at a place."""


def arguments(executable: Compiled, inputs: Arrays) -> list[Any]:
    """The program's inputs as arrays of the device, in its order. Raises UsageError for one that is missing, or has
    another shape or type."""
    program, found = executable.program, []
    for index, spec in enumerate(program.inputs):
        if spec.name not in inputs:
            raise UsageError(f"program '{program.name}': input '{spec.name}' ({spec.role}) is missing")
        array = inputs[spec.name]
        if array.shape != spec.shape or array.dtype.name != spec.dtype:
            raise UsageError(
                f"program '{program.name}': input '{spec.name}' is {array.dtype}{list(array.shape)}, "
                f"not {spec.dtype}{list(spec.shape)}"
            )
        found.append(executable.put(index, array))
    return found


class ArraysBinding(Binding):
    """Inputs as arrays of the device; the new state of each call is put in the place of the old. A runner adds `run`,
    which leaves the arrays in `_outputs`, in the program's order, and how the host gets one."""

    def __init__(self, executable: Compiled, arguments: Sequence[Any]) -> None:
        self._put, self._program, self._arguments = executable.put, executable.program, list(arguments)
        self._place = {spec.name: index for index, spec in enumerate(self._program.inputs)}
        self._returned = {spec.name: index for index, spec in enumerate(self._program.outputs)}
        state = [spec.name for spec in self._program.inputs if spec.role == "state"]
        self._carried = tuple((self._place[name], self._returned[name]) for name in state)
        self._adopted = tuple((self._place[name], name) for name in state)
        self._outputs: Sequence[Any] | None = None

    @abstractmethod
    def _fetch(self, array: Any) -> Any:
        """The array of the device in memory of the host."""

    def output(self, name: str) -> Any:
        """The device array of an output of the last run."""
        if self._outputs is None:
            raise SteelyardError(f"output '{name}' was asked for outside run() and settle(): call run() first")
        if name not in self._returned:
            raise unknown_name("output", name, self._returned)
        return self._outputs[self._returned[name]]

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        """See `Binding`; integers that the runtime holds in 32 bits come back in the program's type."""
        import numpy as np

        found = {}
        for name in self._returned if names is None else names:
            array = self._fetch(self.output(name))
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
        if not isinstance(source, type(self)):
            raise SteelyardError(f"a {type(self).__name__} cannot adopt the state of a {type(source).__name__}")
        for place, name in self._adopted:
            self._arguments[place] = source.output(name)

    def close(self) -> None:  # noqa: D102
        self._outputs, self._arguments = None, []
