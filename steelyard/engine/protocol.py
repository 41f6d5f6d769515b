"""What supervisor and worker say to each other: one JSON request in, JSON lines out."""

from dataclasses import dataclass, field
from typing import Literal

from steelyard.core.backend import BackendSpec, Budget, Device
from steelyard.core.energy import EnergySettings
from steelyard.core.lowered import LoweredPoint
from steelyard.core.result import Result, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long a timed window lasts: at least `seconds` and `minimum` calls, at most `maximum` calls or `cap_s`.

    In turns of `turn_s` each, or in one piece (None). `lengths` says how many turns' worth each turn lasts, over and
    over: all alike but where that is what is asked (`engine.plan.Request.piece`).
    """

    seconds: float
    minimum: int
    maximum: int
    cap_s: float
    turn_s: float | None = None
    lengths: tuple[int, ...] = (1,)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRequest:
    """One case of a launch: its id and everything needed to run and check its point."""

    case_id: str
    lowered: LoweredPoint
    pace: Pace


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    """One launch: an arm, its budget, its place in the run, and the bundle of cases in their order.

    A launch that is not `steady` gives the phases, two runs and the check, and no timed window. `bound` is how many
    input sets of a case are bound at once, each with a state of its own; None binds all. `origin_s` is when the segment
    began on the machine's monotonic clock. `group` is that of its round (`core.result.Place`), and `beside` is how many
    other launches are alive meanwhile. Calls are made `streams` at a time. A launch with a folder for `traces` is
    traced instead of measured. What a runtime makes once for all runs is kept in `installation`. `worker` is the module
    that serves the launch, with arguments of its own: ours, or for the agreement with vendors' tools a process of such
    a tool that says the same events.
    """

    launch: str
    arm: str
    round: int
    position: int
    backend: BackendSpec
    device: Device
    budget: Budget
    compile_cache: str
    scratch: str
    seed: int
    steady: bool
    cases: tuple[CaseRequest, ...]
    bound: int | None = None
    energy: EnergySettings = field(default_factory=EnergySettings)
    origin_s: float = 0.0
    group: int = 0
    beside: int = 0
    traces: str = ""
    streams: int = 1
    installation: str = ""
    worker: tuple[str, ...] = ("steelyard.engine.worker",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line from the worker. `stage` says what begins for which case; `result` ends a case; `done` the launch.

    `turn` says that the worker stands still until it is told to go on: before a turn of its window (`more`), or with
    all of the window behind it. `turn` is the one that ended, beginning and end on the machine's monotonic clock.
    """

    kind: Literal["stage", "turn", "result", "done"]
    case_id: str = ""
    stage: Stage = "spawn"
    result: Result | None = None
    more: bool = False
    turn: tuple[float, float] | None = None
