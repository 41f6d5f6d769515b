"""Runners without state, as short as their authors may write them: `tests.fakes.plain:Plain` and two that are wrong."""

from typing import Any

import numpy as np

from steelyard.core.runner import Arrays, Binding
from tests.fakes.numpy_work import NumpyExecutable, NumpyRunner


class PlainBinding(Binding):
    """No `update` and no `adopt` of its own."""

    def __init__(self, inputs: Arrays, weights: Any) -> None:
        self.inputs, self.weights, self.y = dict(inputs), weights, None

    def run(self) -> None:
        self.y = self.inputs["x"] @ self.weights

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        return {"y": np.array(self.y)}

    def settle(self) -> None:
        self.y = None


class DeafBinding(PlainBinding):
    """It takes new inputs and goes on with its first."""

    def update(self, inputs: Arrays) -> None:
        pass


class ClosedBinding(PlainBinding):
    """It keeps its inputs to itself."""

    def __init__(self, inputs: Arrays, weights: Any) -> None:
        self.x, self.weights, self.y = inputs["x"], weights, None

    def run(self) -> None:
        self.y = self.x @ self.weights


class Bound(NumpyExecutable):
    binding: type[Binding] = PlainBinding

    def bind(self, inputs: Arrays) -> Any:
        return self.binding(inputs, self.weights)  # type: ignore[call-arg]


class DeafBound(Bound):
    binding = DeafBinding


class ClosedBound(Bound):
    binding = ClosedBinding


class Plain(NumpyRunner):
    executable: type[Bound] = Bound

    def load(self, program: Any) -> NumpyExecutable:
        found = super().load(program)
        return self.executable(self, found.weights)


class Deaf(Plain):
    executable = DeafBound


class Closed(Plain):
    executable = ClosedBound
