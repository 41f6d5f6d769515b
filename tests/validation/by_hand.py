"""A loop written by hand as one side of a comparison: built on a lowered program, checked against the reference."""

from collections.abc import Mapping, Sequence

import numpy as np
from safetensors import safe_open

from steelyard.core.errors import SteelyardError
from steelyard.core.lowered import LoweredPoint
from steelyard.measure.correctness import Checker
from steelyard.measure.loop import quiet_collector
from tests.validation.loops import LOOPS, Array, Work, check_order

Arrays = Mapping[str, Array]


def read_tensors(path: str) -> dict[str, Array]:
    """All tensors of a safetensors file."""
    with safe_open(path, framework="np") as stream:
        return {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a dict)


def work_of(lowered: LoweredPoint, inputs: Sequence[Arrays], threads: int) -> Work:
    """What the loops take, for the point's program `main`. Raises ValueError for an order they do not know."""
    main = lowered.programs["main"]
    pool = [[arrays[spec.name] for spec in main.program.inputs] for arrays in inputs]
    work = Work(lowered=main, pool=pool, threads=threads)
    check_order(work)
    return work


class ByHand:
    """The loop of `tests.validation.loops` for a backend."""

    def __init__(self, backend: str, threads: int, lowered: LoweredPoint, inputs: Sequence[Arrays]) -> None:
        self._program = lowered.programs["main"].program
        self._loop = LOOPS[backend](work_of(lowered, inputs, threads))

    def block(self, calls: int) -> Sequence[int]:
        """Nanoseconds of each call, the garbage collector as quiet as in the product's loop."""
        with quiet_collector():
            return self._loop(calls)[0]

    def check(self, slot: int, checker: Checker) -> None:
        """Calls of the first input sets up to this one, the last of them checked."""
        _, outputs = self._loop(slot + 1)
        arrays = {spec.name: np.asarray(out) for spec, out in zip(self._program.outputs, outputs, strict=True)}
        checker.program_call(slot, self._program, Given(arrays))  # type: ignore[arg-type]


class Given:
    """Outputs by name, as the checker reads them from a binding."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays

    def read(self, names: tuple[str, ...]) -> Arrays:
        """Those of these names."""
        return {name: self._arrays[name] for name in names}


def insist(checker: Checker, who: str) -> None:
    """Raises SteelyardError unless every call that was checked is right."""
    if not (verdict := checker.verdict()).passed:
        raise SteelyardError(f"{who} gives wrong answers, so that its times say nothing: {verdict.reason}")
