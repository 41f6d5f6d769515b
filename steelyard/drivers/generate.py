"""`generate`: a sample is one answer: `prefill`, then `decode` once per further token, each token fed back.

Settings of a point: `prompt` and `tokens`, both counts.
"""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.adapters.bound import numpy_type
from steelyard.core.errors import SuiteError
from steelyard.core.lowered import InputSet, LoweredPoint
from steelyard.core.metrics import Metric
from steelyard.core.result import Measurement, Result
from steelyard.core.runner import Executable
from steelyard.core.workload import Point
from steelyard.measure import generation
from steelyard.measure.clock import ROUNDING_S
from steelyard.measure.correctness import Checker
from steelyard.measure.driver import LATENCY, BoundCalls, Driver, Parts, latency, measured
from steelyard.measure.generation import Generation
from steelyard.measure.loop import Window

if TYPE_CHECKING:
    import torch

    Arrays = Mapping[str, np.ndarray[Any, Any]]
    Tensors = Mapping[str, torch.Tensor]
    IntArray = np.ndarray[Any, np.dtype[np.int64]]
else:
    IntArray = np.ndarray

_FIRST = Metric(
    name="ttft_s",
    unit="s",
    direction="lower",
    title="First token",
    meaning="from the call to the first token on the host",
)
_REST = Metric(
    name="tpot_s",
    unit="s",
    direction="lower",
    meaning="from one token on the host to the next, each step timed by itself",
    title="Per token",
)


class _Answers(BoundCalls):
    """One prefill binding per prompt, one decode binding."""

    def __init__(
        self,
        lowered: LoweredPoint,
        executables: Mapping[str, Executable],
        inputs: "Sequence[Arrays]",
        checker: Checker,
        bound: int | None,
    ) -> None:
        # Of zeros: it adopts each prompt's state.
        specs = lowered.programs["decode"].program.inputs
        decode = executables["decode"].bind({spec.name: np.zeros(spec.shape, numpy_type(spec)) for spec in specs})
        self._stamps: list[list[int]] = []
        self._prefills = [executables["prefill"].bind(tensors) for tensors in inputs[:bound]]
        self._decode = decode
        self._pool = lowered.pool[:bound]
        self._answers = [
            Generation(
                prefill,
                decode,
                prompt=int(lowered.point.settings["prompt"]),
                reference=entry.tokens,
                forced_from=entry.forced_from,
                kept=self._stamps,
            )
            for prefill, entry in zip(self._prefills, self._pool, strict=True)
        ]
        self.calls = self._answers
        # Every decode step is fed by the one before it.
        self.fed = self._prefills[0], lowered.programs["prefill"].program, inputs
        self._checker = checker
        self.clocks = (generation.CLOCK,)
        self._first_answer: list[list[int]] | None = None
        self._agreement: list[float] = []

    def inspect(self, index: int) -> None:
        """See `check`."""
        slot = index % len(self.calls)
        generation = self._answers[slot]
        if slot == 0:
            self._first_answer = generation.chosen.tolist()
        if self._pool[slot].forced_from == 0:
            self._agreement.append(float(np.mean(generation.chosen == generation.reference)))
        check(self._checker, slot, self._pool[slot], generation.chosen, generation.last_logits())

    def measurements(self, window: Window) -> tuple[Measurement, ...]:
        """See `BoundCalls`."""
        stamps = self._stamps[-len(window.durations_ns) :]
        gaps = [[(late - early) * 1e-9 for early, late in itertools.pairwise(row)] for row in stamps]
        found = [latency(window), latency(window, _FIRST.name, [row[0] for row in gaps])]
        if times := [gap for row in gaps for gap in row[1:]]:
            origin = window.starts_ns[0]
            starts = [(stamp - origin) * 1e-9 for row in stamps for stamp in row[1:-1]]
            turns = tuple(index * (len(gaps[0]) - 1) for index in window.turns)
            found.append(measured(window, _REST.name, times, starts, turns))
        return tuple(found)

    def text(self) -> str | None:
        """The reference's text, if the first answer has exactly the reference's tokens."""
        entry = self._pool[0]
        same = self._first_answer is not None and self._first_answer == [list(row) for row in entry.tokens]
        return entry.text if same else None

    def details(self) -> Mapping[str, Any]:
        """The tokens of the first answer, and from which step on those of the reference were fed, and why; where that
        is from the first step on, the share of the answers' tokens that were chosen all the same."""
        entry = self._pool[0]
        facts: dict[str, Any] = {"tokens": self._first_answer, "forced_from": entry.forced_from}
        if entry.forced_from is not None:
            facts["margin"] = entry.margin
        if self._agreement:
            facts["token_agreement"] = float(np.mean(self._agreement))
        return facts

    def close(self) -> None:
        """See `BoundCalls`."""
        self._decode.close()
        for prefill in self._prefills:
            prefill.close()


def check(checker: Checker, slot: int, entry: InputSet, chosen: IntArray, last_logits: Any) -> None:
    """Check one answer: its tokens [batch, step], up to the first that may differ, and the logits of its last step."""
    reference = np.asarray(entry.tokens)
    until = reference.shape[1] if entry.forced_from is None else entry.forced_from
    unlike = chosen[:, :until] != reference[:, :until]
    checker.calls += 1
    if unlike.any():
        row, step = min(map(tuple, np.argwhere(unlike)), key=lambda place: place[1])
        told = f"token {step + 1} of answer {slot + 1} is {chosen[row, step]} instead of {reference[row, step]}"
        checker.record("tokens", float(np.mean(unlike)), 1.0, told)
        return
    checker.record("tokens", 0.0, 0.0)
    checker.data(slot, "logits", last_logits)


class _Generate(Driver):
    name = "generate"
    meaning = "one generated answer: prefill, then decode once per further token, until the last token is on the host"
    programs = ("prefill", "decode")
    minimum_calls = 5
    feeds_back = ("first_logits", "logits")
    parts = Parts(
        metrics=(_FIRST, _REST),
        name="tokens",
        title="First token and time per token",
        caption="Time to the first token on the host and from one token to the next, each step timed by itself",
    )

    def runs(self, point: Point) -> Mapping[str, int]:
        """See `Driver`."""
        tokens = point.settings.get("tokens")
        return {"prefill": 1, "decode": tokens - 1} if isinstance(tokens, int) else {}

    def state_bytes(self, point: Point, role: str) -> float:
        """See `Driver`: the mean over the steps of an answer; where its capacity is not told, the whole state."""
        program = point.programs[role]
        read = sum(spec.bytes for spec in program.inputs if spec.role == "state")
        written = sum(spec.bytes for spec in program.state)
        prompt, capacity = point.settings.get("prompt"), point.axes.get("capacity")
        if not isinstance(prompt, int) or not isinstance(capacity, int) or capacity < 1:
            return float(read + written)
        if role == "prefill":
            return min(1.0, prompt / capacity) * written
        steps = max(1, self.runs(point)["decode"])
        filled = min(1.0, (prompt + (steps - 1) / 2) / capacity)
        return read * filled + written / capacity

    def references(self, point: Point, index: int, given: Collection[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
        """See `Driver`: the logits after the prompt and those of the last step, [batch, vocabulary]."""
        for role, name in zip(self.programs, self.feeds_back, strict=True):
            shapes = {spec.name: spec.shape for spec in point.programs[role].outputs}
            if "logits" not in shapes:
                raise SuiteError(f"program '{role}' has no output 'logits', by which an answer is checked")
            yield name, shapes["logits"]

    def compute(
        self,
        point: Point,
        inputs: "Sequence[Tensors]",
        tokens: Sequence[Sequence[Sequence[int]]],
        run: "Callable[[str, Tensors], dict[str, torch.Tensor]]",
    ) -> "Iterator[Tensors]":
        """See `Driver`: the reference's own answer is fed, so that one early difference does not make all later steps
        incomparable."""
        import torch

        prompt, state = int(point.settings["prompt"]), point.programs["decode"].state
        for given, fed in zip(inputs, tokens, strict=True):
            outputs = run("prefill", given)
            first, answer = outputs["logits"], torch.tensor(fed, dtype=torch.int64)
            for step in range(1, answer.shape[1]):
                held = {spec.name: outputs[spec.name] for spec in state}
                position = torch.tensor([prompt + step - 1])
                outputs = run("decode", {**held, "input_ids": answer[:, step - 1 : step], "position": position})
            yield {"first_logits": first, "logits": outputs["logits"]}

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
        return _Answers(lowered, executables, inputs, checker, bound)

    def contradictions(self, result: Result) -> Iterable[str]:
        """See `Driver`: first token and others fit into their answer, and each token begins where the one before it
        ended."""
        whole, first, rest = (result.measurement(name) for name in (LATENCY, _FIRST.name, _REST.name))
        if whole is None or first is None or rest is None or not len(whole.samples):
            return
        answers = len(whole.samples)
        if len(first.samples) != answers or len(rest.samples) % answers:
            yield f"{answers} latencies, {len(first.samples)} first tokens, {len(rest.samples)} others"
            return
        tokens = np.asarray(rest.samples, dtype=np.float64).reshape(answers, -1)
        lasted = np.asarray(whole.samples, dtype=np.float64)
        parts = np.asarray(first.samples, dtype=np.float64) + tokens.sum(axis=1)
        over = np.flatnonzero(parts > lasted + ROUNDING_S * (tokens.shape[1] + 2))
        if over.size:
            at = int(over[0])
            yield f"answer {at}: its tokens take {parts[at]:.9g} s, and all of it {lasted[at]:.9g} s"
        if len(rest.starts_s) == tokens.size and tokens.shape[1] > 1:
            starts = np.asarray(rest.starts_s, dtype=np.float64).reshape(answers, -1)
            gaps = np.abs(starts[:, :-1] + tokens[:, :-1] - starts[:, 1:])
            apart = gaps > ROUNDING_S + 1e-12 * np.abs(starts[:, 1:])
            if apart.any():
                at, token = map(int, np.argwhere(apart)[0])
                yield f"tpot_s: token {token + 1} of answer {at} does not end where the next begins"


DRIVER = _Generate()
