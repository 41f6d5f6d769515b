"""`train`: a sample is one training step: parameters, optimizer state and a batch in, the loss and the new ones out.

The program `main` has the batch as data inputs, `loss` [1] as an output, and as state `parameter.NAME`,
`statistic.NAME` of what a step renews without a gradient (running means), and whatever the optimizer keeps. The state
goes on from step to step; the batches of the input sets take turns. The first input set holds the initial state too.
What is checked is a run from that state over all input sets, one step each: the loss of every step, and after the last
all parameters, taken together, for a gradient that is zero but for rounding makes single vectors differ, and so all
statistics. In the window there is no reference, as it would be of thousands of steps: of the timed steps that are
looked at the loss must be finite, and the parameters other ones than before.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from steelyard.core.lowered import LoweredPoint
from steelyard.core.runner import Binding, Executable
from steelyard.core.workload import Point, Program, TensorSpec
from steelyard.measure.correctness import Checker
from steelyard.measure.driver import BoundCalls, Driver

if TYPE_CHECKING:
    import numpy as np
    import torch

    Arrays = Mapping[str, "np.ndarray[Any, Any]"]
    Tensors = Mapping[str, torch.Tensor]

_LOSS = ("loss",)
_GROUPS = {"parameters": "parameter.", "statistics": "statistic."}
"""What is checked after the last step, taken together, and how the names of its tensors begin."""


class _Step:
    """One binding whose batch is replaced after each step, outside the sample."""

    def __init__(self, binding: Binding, batches: "Sequence[Arrays]") -> None:
        self._binding, self._batches, self._next = binding, batches, 1
        self.run = binding.run

    def settle(self) -> None:
        """Adopt the new state, bring the next batch."""
        self._binding.settle()
        self._binding.update(self._batches[self._next % len(self._batches)])
        self._next += 1


class _Steps(BoundCalls):
    def __init__(
        self, lowered: LoweredPoint, executable: Executable, inputs: "Sequence[Arrays]", checker: Checker
    ) -> None:
        self._program = lowered.programs["main"].program
        self._executable, self._inputs, self._checker = executable, inputs, checker
        self._batches = [{name: given[name] for name in _batch(self._program)} for given in inputs]
        self._binding = executable.bind(inputs[0])
        self._before = b""
        self.calls = [_Step(self._binding, self._batches)]

    def inspect(self, index: int) -> None:
        """The loss is a number, and the smallest parameter is not what it was at the step looked at before."""
        import numpy as np

        name = min(_group(self._program, "parameters"), key=lambda spec: spec.bytes).name
        found = self._binding.read((*_LOSS, name))
        self._checker.calls += 1
        finite = bool(np.isfinite(np.asarray(found["loss"], dtype=np.float64)).all())
        self._checker.record("loss", 0.0, 0.0, "" if finite else f"it is not finite in step {index + 1} of the window")
        bits = np.ascontiguousarray(found[name]).tobytes()
        still = f"{name} did not change up to step {index + 1} of the window" if bits == self._before else ""
        self._checker.record("parameters", 0.0, 0.0, still)
        self._before = bits

    def prove(self, limits: Mapping[str, float], call_s: float | None) -> tuple[list[str], int | None]:
        """See `BoundCalls`: the run that the references are of, from the initial state, on a binding of its own."""
        import numpy as np

        binding = self._executable.bind(self._inputs[0])
        for step, batch in enumerate(self._batches):
            if step:
                binding.update(batch)
            binding.run()
            self._checker.data(step, "loss", binding.read(_LOSS)["loss"])
            if step + 1 == len(self._batches):
                for group in _groups(self._program):
                    names = tuple(spec.name for spec in _group(self._program, group))
                    found = binding.read(names)
                    self._checker.data(step, group, np.concatenate([found[name].reshape(-1) for name in names]))
            binding.settle()
        self._checker.calls += 1
        binding.close()
        return [], None

    def close(self) -> None:
        """See `BoundCalls`."""
        self._binding.close()


def _group(program: Program, name: str) -> list[TensorSpec]:
    return [spec for spec in program.state if spec.name.startswith(_GROUPS[name])]


def _groups(program: Program) -> list[str]:
    return [name for name in _GROUPS if _group(program, name)]


def _batch(program: Program) -> list[str]:
    return [spec.name for spec in program.inputs if spec.role == "data"]


class _Train(Driver):
    name = "train"
    meaning = "one training step: forward, loss, backward and the optimizer's update, new parameters in their place"
    programs = ("main",)
    state = "Parameters and optimizer"

    def inputs_of_set(self, point: Point, index: int) -> tuple[TensorSpec, ...]:
        """See `Driver`: the state is in the first alone."""
        inputs = point.programs["main"].inputs
        return inputs if index == 0 else tuple(spec for spec in inputs if spec.role == "data")

    def references(self, point: Point, index: int, given: Collection[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
        """See `Driver`: every loss, and where an input set has them the parameters and statistics after its step."""
        yield "loss", (1,)
        program = point.programs["main"]
        for group in _groups(program):
            if group in given:
                yield group, (sum(_count(spec.shape) for spec in _group(program, group)),)

    def compute(
        self,
        point: Point,
        inputs: "Sequence[Tensors]",
        tokens: Sequence[Sequence[Sequence[int]]],
        run: "Callable[[str, Tensors], dict[str, torch.Tensor]]",
    ) -> "Iterator[Tensors]":
        """See `Driver`: a step for each input set, each from the state that the one before it left."""
        import torch

        program = point.programs["main"]
        state = {spec.name: inputs[0][spec.name] for spec in program.inputs if spec.role == "state"}
        for batch in inputs:
            outputs = run("main", {**state, **{name: batch[name] for name in _batch(program)}})
            state = {name: outputs[name] for name in state}
            flat = {
                group: torch.cat([outputs[spec.name].reshape(-1) for spec in _group(program, group)])
                for group in _groups(program)
            }
            yield {"loss": outputs["loss"], **flat}

    def bind(
        self,
        lowered: LoweredPoint,
        executables: Mapping[str, Executable],
        inputs: "Sequence[Arrays]",
        checker: Checker,
        *,
        bound: int | None = None,
    ) -> BoundCalls:
        """See `Driver`: one binding, whatever the number of input sets."""
        del bound
        return _Steps(lowered, executables["main"], inputs, checker)


def _count(shape: Sequence[int]) -> int:
    total = 1
    for extent in shape:
        total *= extent
    return total


DRIVER = _Train()
