"""What is known of one way to make a call: its programs, its times, how it is bound, checked and counted.

A driver is one file in `steelyard/drivers/`, or an entry point of another package (group `steelyard.drivers`).
Lowering, engine, comparison, reports and `bench verify` ask it; none of them knows a driver by name.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from steelyard import plugins
from steelyard.core.lowered import LoweredPoint
from steelyard.core.metrics import METRICS, Metric
from steelyard.core.result import Measurement, Result
from steelyard.core.runner import Binding, Executable
from steelyard.core.workload import CHOSEN_FROM, Point, Program, TensorSpec
from steelyard.measure.correctness import Checker
from steelyard.measure.digest import sealed
from steelyard.measure.fresh import FreshCalls
from steelyard.measure.loop import Call, Window
from steelyard.measure.steady import judge

if TYPE_CHECKING:
    import numpy as np
    import torch

    Arrays = Mapping[str, "np.ndarray[Any, Any]"]
    Tensors = Mapping[str, torch.Tensor]

LATENCY = "latency_s"
"""The time of a whole call: every driver has it, and the primary verdicts are on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The timed parts of a call, and the table of a report that shows them. `metrics` have a title each."""

    metrics: tuple[Metric, ...]
    name: str
    title: str
    caption: str


class BoundCalls(ABC):
    """One case's calls, bound to their input sets, and what is read from them.

    `calls` are run in rotation; one `run()` is one sample. `fed` is the binding that takes its inputs from outside,
    with its program and the input sets, of which it is bound to the first. `clocks` are the driver's own names of
    `measure.clock.CLOCK`, by which parts of a call are timed.
    """

    calls: Sequence[Call]
    fed: "tuple[Binding, Program, Sequence[Arrays]]"
    clocks: tuple[object, ...] = ()

    @abstractmethod
    def inspect(self, index: int) -> None:
        """Check the outputs of the call just made, the `index`-th of the window."""

    def prove(self, limits: Mapping[str, float], call_s: float | None) -> tuple[list[str], int | None]:
        """Last of all, when nothing is timed any more: is the work really done in every call?

        `limits` are relative errors by output. In the cold round `call_s` is about what a call takes, and there is time
        to look closely; else it is None. Returns doubts as sentences, and how many new inputs were tried closely.
        """
        fresh = FreshCalls(*self.fed, limits)
        if call_s is None:
            fresh.once()
            return fresh.doubts, None
        fresh.make(call_s)
        return fresh.doubts, fresh.mixtures

    def measurements(self, window: Window) -> tuple[Measurement, ...]:
        """The times of the window: the latency, and where the driver has any its parts."""
        return (latency(window),)

    def text(self) -> str | None:
        """What was generated, where something was."""
        return None

    def details(self) -> Mapping[str, Any]:
        """Facts for the row."""
        return {}

    @abstractmethod
    def close(self) -> None:
        """Release the bindings."""


class Driver(ABC):
    """One way to make a call.

    `programs` are the roles that a point of it has; the first is fed from the input sets. A window has at least
    `minimum_calls` calls, however little time there is. `state` says what programs carry on, where they do. `parts` are
    its times besides the latency. `feeds_back` are the references from which a call chooses what it is fed next: two
    that are as good as equal end the comparison of what follows. Of calls that go `side_by_side` several can be made at
    a time (`Point.streams`). Whoever `counts_answers` does so for points with labels (`steelyard.measure.scoring`).
    """

    name: ClassVar[str]
    meaning: ClassVar[str]
    programs: ClassVar[tuple[str, ...]]
    minimum_calls: ClassVar[int] = 10
    state: ClassVar[str] = "KV cache"
    parts: ClassVar[Parts | None] = None
    feeds_back: ClassVar[tuple[str, ...]] = ()
    side_by_side: ClassVar[bool] = False
    counts_answers: ClassVar[bool] = False

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of its times, the latency first."""
        return (LATENCY, *(metric.name for metric in (self.parts.metrics if self.parts else ())))

    def runs(self, point: Point) -> Mapping[str, int]:
        """How often each program runs in one call, by role; empty where the point does not say."""
        return dict.fromkeys(self.programs, 1)

    def state_bytes(self, point: Point, role: str) -> float:
        """The state that one run of a program reads and writes: the places filled before it and those that it writes,
        where the point tells them, else all of it."""
        program, window = point.programs[role], point.window
        read = sum(spec.bytes for spec in program.inputs if spec.role == "state")
        written = sum(spec.bytes for spec in program.state)
        if window is None:
            return float(read + written)
        extents = [spec.shape[window.axis] for spec in program.state if window.axis < len(spec.shape)]
        if not extents:
            return float(read + written)
        return read * window.start / max(extents) + written * window.length / max(extents)

    def inputs_of_set(self, point: Point, index: int) -> tuple[TensorSpec, ...]:
        """The inputs that the `index`-th input set holds: those of the first program."""
        return point.programs[self.programs[0]].inputs

    def references(self, point: Point, index: int, given: Collection[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The references that the `index`-th input set needs, with their shapes; `given` are the names of those it has.
        Raises SuiteError for programs without the outputs by which a call is checked.

        Of the first program: every output whole, of the state what lies in the point's window. An output that is chosen
        from another is held against that one, and needs no reference.
        """
        window = point.window
        for spec in point.programs[self.programs[0]].outputs:
            if CHOSEN_FROM.get(spec.name) in given:
                continue
            shape = list(spec.shape)
            if spec.role == "state" and window is not None:
                shape[window.axis] = window.length
            yield spec.name, tuple(shape)

    @abstractmethod
    def compute(
        self,
        point: Point,
        inputs: "Sequence[Tensors]",
        tokens: Sequence[Sequence[Sequence[int]]],
        run: "Callable[[str, Tensors], dict[str, torch.Tensor]]",
    ) -> "Iterator[Tensors]":
        """What the references of each input set are of, by name, computed once more by `run`, which runs the program of
        a role. `tokens` are those of each one's own answer, [batch][step], where it has one.
        """

    @abstractmethod
    def bind(
        self,
        lowered: LoweredPoint,
        executables: Mapping[str, Executable],
        inputs: "Sequence[Arrays]",
        checker: Checker,
        *,
        bound: int | None = None,
    ) -> BoundCalls:
        """The calls of a case, on the first `bound` of its input sets. Bindings are made here, before anything is
        timed."""

    def contradictions(self, result: Result) -> Iterable[str]:
        """In what the times of a stored result contradict each other, as sentences."""
        return ()


def driver_of(point: Point) -> Driver:
    """The point's driver. Raises UsageError for one that nothing installed offers."""
    return cast(Driver, plugins.driver(point.driver))


def metrics_of(point: Point) -> tuple[str, ...]:
    """The timed metrics of a point, the latency first."""
    return driver_of(point).metrics


def metric_of(point: Point, name: str) -> Metric:
    """A metric of the point by its name, which a phase may follow (`host_peak_bytes/steady`)."""
    parts = driver_of(point).parts
    own = {metric.name: metric for metric in (parts.metrics if parts else ())}
    return own.get(name) or METRICS[name.partition("/")[0]]


def latency(window: Window, metric: str = LATENCY, samples: Sequence[float] | None = None) -> Measurement:
    """One sample a call of the window, in seconds: how long the call took, or what `samples` says of it."""
    origin = window.starts_ns[0]
    values = tuple(duration * 1e-9 for duration in window.durations_ns) if samples is None else tuple(samples)
    starts = tuple((start - origin) * 1e-9 for start in window.starts_ns)
    return measured(window, metric, values, starts, tuple(window.turns))


def measured(
    window: Window, metric: str, samples: Sequence[float], starts_s: Sequence[float], turns: tuple[int, ...]
) -> Measurement:
    """Samples in time order, each with its start in seconds after the window's; `turns` are the indices of the first
    sample of each turn."""
    cut, steady = judge(samples, turns)
    return sealed(
        Measurement(
            metric=metric,
            layer="bound_wall",
            samples=samples,
            starts_s=starts_s,
            cut=cut,
            steady=steady,
            stop=window.stop,
            turns=turns,
            begun_s=window.begun_s,
        )
    )
