"""What one launch says about one case."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from steelyard.core.details import Details
from steelyard.core.energy import EnergyUse
from steelyard.core.metrics import Reading
from steelyard.core.turn_rule import first_calls

Status = Literal[
    "ok", "incorrect", "fallback", "unsupported", "out_of_memory", "timed_out", "crashed", "failed", "skipped"
]
Stage = Literal[
    "plan", "lower", "spawn", "import", "load", "compile", "first_run", "second_run", "steady", "check", "energy"
]
Layer = Literal["api_wall", "bound_wall", "runtime_internal", "device"]
Steady = Literal["flat", "warmed", "slowed", "cyclic", "none", "too_short"]
StopReason = Literal["time", "samples", "calls"]

STATUSES: tuple[Status, ...] = Status.__args__  # type: ignore[attr-defined]
STAGES: tuple[Stage, ...] = Stage.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """All samples of one metric of one case in one launch, in time order, in the metric's base unit.

    `cut` is the number of leading samples judged to be warm-up; nothing is dropped.
    `starts_s` are the sample starts on the launch's monotonic clock, counted from the window's start.
    `digest` is what the worker made of all of it (`steelyard.measure.digest`); empty in runs older than that.
    `turns` are the indices of the first sample of each turn, and `begun_s` is when the first sample began, on the clock
    of `LaunchRecord.started_s`; () and None where the window was in one piece.
    """

    metric: str
    layer: Layer
    samples: Sequence[float]
    starts_s: Sequence[float]
    cut: int
    steady: Steady
    stop: StopReason
    digest: str = ""
    turns: tuple[int, ...] = ()
    begun_s: float | None = None

    @property
    def steady_samples(self) -> Sequence[float]:
        """The samples after the cut, without the first calls of turns (`steelyard.core.turn_rule`)."""
        left_out = set(first_calls(self.turns, len(self.samples)))
        return [value for index, value in enumerate(self.samples) if index >= self.cut and index not in left_out]


READ_BACK: Mapping[str, str] = {
    "inter_op": "how many parts of a program, or requests, may run side by side: inter-op threads, streams",
    "waiting": "what idle threads of the pool do between two calls",
    "matrix_precision": "what float32 matrix products are computed in",
    "tf32": "whether TF32 may stand in for float32",
    "denormals": "whether numbers below the smallest normal one are kept, or count as zero",
    "denormals_told_by": "how that is known: tried on the runtime in this process, or its option read back",
    "cpus": "the CPUs that the threads of the process may run on, all of them together",
    "environment": "variables of the process that runtimes obey; of a path only that there is one",
}
"""The common words of `Proof.budget`, in the order in which they are shown."""


def untold(reason: str) -> Mapping[str, str | None]:
    """A value of `Proof.budget` that the runtime does not tell."""
    return {"value": None, "reason": reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What really ran, read back from the runtime. `mismatches` non-empty makes the result `fallback`, and so does what
    else is told and was not asked for (`steelyard.engine.judging`).

    `graphs` is how many graphs of this program the compiler was given; None where nothing is captured, or it is not
    told. `remarks` are what a reader should know although it is as asked for.
    `budget` says in the words of READ_BACK how the process kept its budget beyond threads and dtype;
    what cannot be read back is `untold` with the reason.
    """

    runtime: str
    versions: Mapping[str, str]
    platform: str
    dtype: str
    threads: int | None
    placement: Mapping[str, int] = field(default_factory=dict)
    graphs: int | None = None
    graph_breaks: int | None = None
    recompiles: int | None = None
    mismatches: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    budget: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputCheck:
    """The error of one output over the checked calls, against the fp64 reference.

    `relative_l2` is |out - ref| / |ref| in the 2-norm, the worst over the checked calls;
    `tolerance` is what it was held against; `max_abs` is the largest absolute difference. `default_tolerance` is what
    its dtype allows where a wider tolerance was stated by hand, None where `tolerance` is that. `level` is the lowest
    level of `steelyard.core.closeness` at which every element was close enough; None where that is not known: for
    outputs that are not floating-point, and in runs from before it was. `kept` is how many answers are right for
    each that is right in the reference, where that let an error beyond the stated tolerance pass
    (`steelyard.core.tolerance`).
    """

    output: str
    relative_l2: float
    max_abs: float
    tolerance: float
    passed: bool
    reason: str = ""
    default_tolerance: float | None = None
    level: int | None = None
    kept: float | None = None

    @property
    def approximate(self) -> bool:
        """Whether it passed by a tolerance that was stated, or by its answers, beyond what its dtype allows."""
        return self.passed and self.default_tolerance is not None and self.relative_l2 > self.default_tolerance

    @property
    def share(self) -> float:
        """The part of its tolerance that the error uses up; an exact output that passed uses none."""
        if not self.passed:
            return float("inf")
        return self.relative_l2 / self.tolerance if self.tolerance > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Correctness:
    """The verdict on the outputs of timed calls that the runner could not foresee."""

    passed: bool
    calls_checked: int
    outputs: tuple[OutputCheck, ...]
    reason: str = ""

    @property
    def level(self) -> int | None:
        """The lowest level at which all outputs that have one were close enough; None where none has."""
        return max((check.level for check in self.outputs if check.level is not None), default=None)

    @property
    def approximate(self) -> str:
        """In what right outputs are approximate: the one furthest off. Empty where none is."""
        found = [check for check in self.outputs if check.approximate] if self.passed else []
        if not found:
            return ""
        worst = max(found, key=lambda check: check.relative_l2)
        beyond = (
            f"{worst.output}: relative error {worst.relative_l2:.2g} exceeds {worst.default_tolerance:.2g}, what its "
        )
        if worst.kept is None:
            return f"{beyond}dtype allows, and lies within the stated tolerance of {worst.tolerance:g}"
        return (
            f"{beyond}dtype allows, and the stated tolerance of {worst.tolerance:g}; {worst.kept:.1%} as many answers "
            "are right as in the reference"
        )


class Place(NamedTuple):
    """Where in a run a launch stood: its round, and the group of the round's launches that were alive together.

    Launches of one place are paired, and no others. An arm is launched once in a place (once for each bundle of cases),
    and the baseline in every place of a round. A round whose launches are not in groups is one place.
    """

    round: int
    group: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of one case in one launch. A failure is data: status, stage, reason and log tail.

    `phases` are seconds by phase (import_s, load_s, compile_s, first_run_s, second_run_s);
    `first_in_launch` says whether compile time and memory peaks belong to this case alone.
    `energy` is the joules of one call, `energy_use` all that the meter said, `energy_estimate` what a model makes of it
    where one was asked for.
    `memory` is keyed `metric/phase`, e.g. `host_peak_bytes/compile`. `text` is what generate wrote.
    `approximate` marks an ok result that is no equal work: it says in what, and is empty for all others.
    """

    case_id: str
    arm: str
    round: int
    position: int
    launch: str
    status: Status
    stage: Stage
    reason: str = ""
    approximate: str = ""
    log_tail: str = ""
    first_in_launch: bool = False
    phases: Mapping[str, float] = field(default_factory=dict)
    measurements: tuple[Measurement, ...] = ()
    memory: Mapping[str, Reading] = field(default_factory=dict)
    energy: Reading | None = None
    energy_use: EnergyUse | None = None
    energy_estimate: Reading | None = None
    proof: Proof | None = None
    correctness: Correctness | None = None
    idiom: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None
    details: Details = field(default_factory=Details)
    group: int = 0

    @property
    def place(self) -> Place:
        """The round and the group of its launch."""
        return Place(self.round, self.group)

    def measurement(self, metric: str) -> Measurement | None:
        """The measurement of a metric, or None."""
        return next((item for item in self.measurements if item.metric == metric), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRecord:
    """One fresh process: which arm, when in the run, what surrounded it.

    `started_s` and `ended_s` are on the supervisor's monotonic clock, from the segment's start.
    `noise` holds the readings of the noise guard: short samples at both ends (`before/...`, `after/...`) and
    what others did over the whole launch (`during/...`). `supervisor_cpu_s` is the CPU time that the
    supervisor itself used while the launch ran.

    A launch that took turns with the others of its round was stopped for `stopped_s` of that time and ran for the rest,
    and `handover_s` is the median time from the end of another's turn to the beginning of the next; all None where the
    launches ran one after the other. `group` counts the groups of its round, in which the baseline has a launch each,
    from 0; it is the same for one group in all rounds of a segment, and 0 where there are no groups.
    """

    launch: str
    arm: str
    round: int
    position: int
    started_s: float
    ended_s: float
    exit_code: int | None
    supervisor_cpu_s: float
    noise: Mapping[str, Reading] = field(default_factory=dict)
    ran_s: float | None = None
    stopped_s: float | None = None
    handover_s: float | None = None
    group: int = 0
