"""`call`: a sample is one run of the program `main`, its inputs bound beforehand, or several at a time (`streams`)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from steelyard.core.lowered import LoweredPoint
from steelyard.core.runner import Binding, Executable
from steelyard.core.workload import SCORE, Point
from steelyard.measure.correctness import Checker
from steelyard.measure.driver import BoundCalls, Driver
from steelyard.measure.scoring import Score, score
from steelyard.measure.waves import Waves

if TYPE_CHECKING:
    import numpy as np
    import torch

    Arrays = Mapping[str, "np.ndarray[Any, Any]"]
    Tensors = Mapping[str, torch.Tensor]


class _Calls(BoundCalls):
    """One binding per input set, and one per request where more are made at a time."""

    def __init__(
        self,
        lowered: LoweredPoint,
        executable: Executable,
        inputs: "Sequence[Arrays]",
        checker: Checker,
        bound: int | None,
    ) -> None:
        self._point, self._program = lowered.point, lowered.programs["main"].program
        streams, self._sets = lowered.point.streams, len(inputs[:bound])
        self._bindings: list[Binding] = [
            executable.bind(inputs[number % self._sets]) for number in range(max(streams, self._sets))
        ]
        self._checker = checker
        self._waves = Waves(self._bindings, streams, executable.in_thread)
        self.calls = self._waves.calls if streams > 1 else self._bindings
        self.fed = self._bindings[0], self._program, inputs
        self._score: Score | None = None

    def inspect(self, index: int) -> None:
        """Every output of the call, of each of its requests."""
        for number in self._waves.of(index):
            self._checker.program_call(number % self._sets, self._program, self._bindings[number])

    def prove(self, limits: Mapping[str, float], call_s: float | None) -> tuple[list[str], int | None]:
        """See `BoundCalls`. Answers that have labels are counted first, while every input set is bound as it was."""
        self._score = score(self._point, self._program, self._bindings[: self._sets], self._checker)
        return super().prove(limits, call_s)

    def details(self) -> Mapping[str, Any]:
        """See `BoundCalls`: the score of a point whose answers have labels."""
        return {} if self._score is None else {SCORE: asdict(self._score)}

    def close(self) -> None:
        """See `BoundCalls`."""
        self._waves.close()
        for binding in self._bindings:
            binding.close()


class _Call(Driver):
    name = "call"
    meaning = "one run of a program, inputs bound beforehand, every output complete"
    programs = ("main",)
    side_by_side = True
    counts_answers = True

    def runs(self, point: Point) -> Mapping[str, int]:
        """See `Driver`: once for each request."""
        return {"main": point.streams}

    def compute(
        self,
        point: Point,
        inputs: "Sequence[Tensors]",
        tokens: Sequence[Sequence[Sequence[int]]],
        run: "Callable[[str, Tensors], dict[str, torch.Tensor]]",
    ) -> "Iterator[Tensors]":
        """See `Driver`: state outputs are cut to the window."""
        window = point.window
        for given in inputs:
            outputs = run("main", given)
            if window is not None:
                for spec in point.programs["main"].state:
                    outputs[spec.name] = outputs[spec.name].narrow(window.axis, window.start, window.length)
            yield outputs

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
        return _Calls(lowered, executables["main"], inputs, checker, bound)


DRIVER = _Call()
