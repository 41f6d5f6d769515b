"""`call`: a sample is one run of the program `main`, its inputs bound beforehand."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from steelyard.core.lowered import LoweredPoint
from steelyard.core.runner import Binding, Executable
from steelyard.core.workload import Point
from steelyard.measure.correctness import Checker
from steelyard.measure.driver import BoundCalls, Driver

if TYPE_CHECKING:
    import numpy as np
    import torch

    Arrays = Mapping[str, "np.ndarray[Any, Any]"]
    Tensors = Mapping[str, torch.Tensor]


class _Calls(BoundCalls):
    """One binding per input set."""

    def __init__(
        self, lowered: LoweredPoint, executable: Executable, inputs: "Sequence[Arrays]", checker: Checker
    ) -> None:
        self._program = lowered.programs["main"].program
        self._bindings: list[Binding] = [executable.bind(tensors) for tensors in inputs]
        self._checker = checker
        self.calls = self._bindings
        self.fed = self._bindings[0], self._program

    def inspect(self, index: int) -> None:
        """Every output of the call."""
        slot = index % len(self.calls)
        self._checker.program_call(slot, self._program, self._bindings[slot])

    def close(self) -> None:
        """See `BoundCalls`."""
        for binding in self._bindings:
            binding.close()


class _Call(Driver):
    name = "call"
    meaning = "one run of a program, inputs bound beforehand, every output complete"
    programs = ("main",)

    def compute(
        self,
        point: Point,
        inputs: "Tensors",
        tokens: Sequence[Sequence[int]],
        run: "Callable[[str, Tensors], dict[str, torch.Tensor]]",
    ) -> "Tensors":
        """See `Driver`: state outputs are cut to the window."""
        outputs, window = run("main", inputs), point.window
        if window is not None:
            for spec in point.programs["main"].state:
                outputs[spec.name] = outputs[spec.name].narrow(window.axis, window.start, window.length)
        return outputs

    def bind(
        self,
        lowered: LoweredPoint,
        executables: Mapping[str, Executable],
        inputs: "Sequence[Arrays]",
        checker: Checker,
        *,
        bound: int | None = None,
    ) -> BoundCalls:
        """See `Driver`."""
        return _Calls(lowered, executables["main"], inputs[:bound], checker)


DRIVER = _Call()
