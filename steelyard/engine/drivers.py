"""How a point's sample is made: one call of a program, or one generated answer."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from steelyard.core.result import Measurement
from steelyard.core.runner import Binding, Executable
from steelyard.core.workload import Program
from steelyard.measure.correctness import Checker
from steelyard.measure.digest import sealed
from steelyard.measure.fresh import FreshCalls
from steelyard.measure.generate import Generation
from steelyard.measure.loop import Call, Window
from steelyard.measure.steady import judge

if TYPE_CHECKING:
    from steelyard.engine.protocol import CaseRequest

Arrays = Mapping[str, "np.ndarray[Any, Any]"]


class Driver(Protocol):
    """One case's calls, bound to the first `bound` of their input sets, and what is read from them."""

    calls: Sequence[Call]

    def __init__(
        self,
        case: "CaseRequest",
        executables: Mapping[str, Executable],
        inputs: Sequence[Arrays],
        checker: Checker,
        *,
        bound: int | None = None,
    ) -> None: ...

    def inspect(self, index: int) -> None:
        """Check the outputs of the call just made, the `index`-th of the window."""

    def fresh_calls(self) -> FreshCalls:
        """The program that is fed from outside, on its first input set, for calls with inputs it has not seen."""

    def measurements(self, window: Window) -> tuple[Measurement, ...]:
        """The metrics of the window."""

    def text(self) -> str | None:
        """What was generated, where something was."""

    def details(self) -> Mapping[str, Any]:
        """Facts for the row."""

    def close(self) -> None:
        """Release the bindings."""


class SingleCalls:
    """A point whose sample is one call of its program `main`; one binding per input set."""

    def __init__(
        self,
        case: "CaseRequest",
        executables: Mapping[str, Executable],
        inputs: Sequence[Arrays],
        checker: Checker,
        *,
        bound: int | None = None,
    ) -> None:
        self._program = case.lowered.programs["main"].program
        self._inputs, self._limits = inputs, _limits(case)
        self._bindings: list[Binding] = [executables["main"].bind(tensors) for tensors in inputs[:bound]]
        self.calls: Sequence[Call] = self._bindings
        self._checker = checker

    def inspect(self, index: int) -> None:
        """Every output of the call."""
        slot = index % len(self.calls)
        self._checker.program_call(slot, self._program, self._bindings[slot])

    def fresh_calls(self) -> FreshCalls:
        """See `Driver`."""
        return FreshCalls(self._bindings[0], self._program, self._inputs, self._limits)

    def measurements(self, window: Window) -> tuple[Measurement, ...]:
        """See `Driver`."""
        return (_measurement("latency_s", window, [ns * 1e-9 for ns in window.durations_ns]),)

    def text(self) -> str | None:
        """Nothing is generated."""
        return None

    def details(self) -> Mapping[str, Any]:
        """See `Driver`."""
        return {}

    def close(self) -> None:
        """See `Driver`."""
        for binding in self._bindings:
            binding.close()


class _Recorded:
    """A generation that keeps the stamps of each of its calls, outside the sample."""

    def __init__(self, generation: Generation, stamps: list[list[int]]) -> None:
        self.generation = generation
        self._stamps = stamps
        self.run = generation.run

    def settle(self) -> None:
        """Keep the stamps, release the answer."""
        self._stamps.append(list(self.generation.stamps))
        self.generation.settle()


class Answers:
    """A point whose sample is one generated answer; one prefill binding per prompt, one decode binding."""

    def __init__(
        self,
        case: "CaseRequest",
        executables: Mapping[str, Executable],
        inputs: Sequence[Arrays],
        checker: Checker,
        *,
        bound: int | None = None,
    ) -> None:
        lowered = case.lowered
        self._prefill = lowered.programs["prefill"].program
        self._inputs, self._limits = inputs, _limits(case)
        decode = executables["decode"].bind(_zeros(lowered.programs["decode"].program))
        self._stamps: list[list[int]] = []
        self._prefills = [executables["prefill"].bind(tensors) for tensors in inputs[:bound]]
        self._decode = decode
        self._recorded = [
            _Recorded(
                Generation(
                    prefill,
                    decode,
                    prompt=int(lowered.point.settings["prompt"]),
                    reference=entry.tokens,
                    forced_from=entry.forced_from,
                ),
                self._stamps,
            )
            for prefill, entry in zip(self._prefills, lowered.pool[:bound], strict=True)
        ]
        self.calls: Sequence[Call] = self._recorded
        self._checker = checker
        self._pool = lowered.pool
        self._first_answer: list[list[int]] | None = None

    def inspect(self, index: int) -> None:
        """The tokens of the answer and the logits behind its last one."""
        slot = index % len(self.calls)
        generation = self._recorded[slot].generation
        if slot == 0:
            self._first_answer = generation.chosen.tolist()
        self._checker.answer(slot, generation.chosen, generation.last_logits())

    def fresh_calls(self) -> FreshCalls:
        """See `Driver`: the prompt's program; every decode step is fed by the one before."""
        return FreshCalls(self._prefills[0], self._prefill, self._inputs, self._limits)

    def measurements(self, window: Window) -> tuple[Measurement, ...]:
        """See `Driver`."""
        stamps = self._stamps[-len(window.durations_ns) :]
        gaps = [[(late - early) * 1e-9 for early, late in itertools.pairwise(row)] for row in stamps]
        origin = window.starts_ns[0]
        token_starts = [(stamp - origin) * 1e-9 for row in stamps for stamp in row[1:-1]]
        token_times = [gap for row in gaps for gap in row[1:]]
        found = [
            _measurement("latency_s", window, [ns * 1e-9 for ns in window.durations_ns]),
            _measurement("ttft_s", window, [row[0] for row in gaps]),
        ]
        if token_times:
            turns = tuple(index * (len(gaps[0]) - 1) for index in window.turns)
            cut, steady = judge(token_times, turns)
            tokens = Measurement(
                metric="tpot_s",
                layer="bound_wall",
                samples=token_times,
                starts_s=token_starts,
                cut=cut,
                steady=steady,
                stop=window.stop,
                turns=turns,
                begun_s=window.begun_s,
            )
            found.append(sealed(tokens))
        return tuple(found)

    def text(self) -> str | None:
        """The reference's text, if the first answer has exactly the reference's tokens."""
        entry = self._pool[0]
        same = self._first_answer is not None and self._first_answer == [list(row) for row in entry.tokens]
        return entry.text if same else None

    def details(self) -> Mapping[str, Any]:
        """See `Driver`."""
        entry = self._pool[0]
        facts: dict[str, Any] = {"tokens": self._first_answer, "forced_from": entry.forced_from}
        if entry.forced_from is not None:
            facts["margin"] = entry.margin
        return facts

    def close(self) -> None:
        """See `Driver`."""
        self._decode.close()
        for prefill in self._prefills:
            prefill.close()


DRIVERS: Mapping[str, type[Driver]] = {"call": SingleCalls, "generate": Answers}


def _measurement(metric: str, window: Window, samples: Sequence[float]) -> Measurement:
    origin = window.starts_ns[0]
    cut, steady = judge(samples, window.turns)
    return sealed(
        Measurement(
            metric=metric,
            layer="bound_wall",
            samples=tuple(samples),
            starts_s=tuple((start - origin) * 1e-9 for start in window.starts_ns),
            cut=cut,
            steady=steady,
            stop=window.stop,
            turns=tuple(window.turns),
            begun_s=window.begun_s,
        )
    )


def _limits(case: "CaseRequest") -> dict[str, float]:
    return {name: tolerance.limit for name, tolerance in case.lowered.tolerances.items()}


def _zeros(program: Program) -> dict[str, Any]:
    """Inputs of zeros: what the decode program is bound with before it adopts a state."""
    import ml_dtypes

    named = {"bfloat16": np.dtype(ml_dtypes.bfloat16)}
    return {spec.name: np.zeros(spec.shape, named.get(spec.dtype) or np.dtype(spec.dtype)) for spec in program.inputs}
