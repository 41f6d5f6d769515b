"""A run as stored: the manifest, its segments, its launches and results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from steelyard.core import settings
from steelyard.core.aa_counts import AaCounts
from steelyard.core.backend import Budget, Device
from steelyard.core.case import Arm, Case
from steelyard.core.ceilings import Ceilings
from steelyard.core.lowered import WorkCount
from steelyard.core.metrics import Reading
from steelyard.core.profile import ComputedPeak, HardwareProfile
from steelyard.core.result import LaunchRecord, Result
from steelyard.core.settings import Settings
from steelyard.core.turn_rule import ONE_AFTER_THE_OTHER
from steelyard.core.virtual_environment import VirtualEnvironment
from steelyard.core.workload import Identity

SCHEMA_VERSION = 1
Grade = Literal["A", "B", "C", "D", "F"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The preflight's verdict on the machine. At F numbers are kept and verdicts withheld; `evidence` says why."""

    grade: Grade
    readings: Mapping[str, Reading]
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A backend or case that was not run, and why. `point` is empty when a whole backend is meant, `backend` is `all`
    when a whole point is. A `suite error` is none of any backend."""

    backend: str
    reason: str
    point: str = ""
    status: Literal["unsupported", "suite error"] = "unsupported"


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningRow:
    """A tuning that a backend declares: exact options, and how its runtime uses the disk between launches.

    Each backend has a row for `default` and one for `max`; the run used that of its budget. `formats` are
    those that the backend was given (`module` is the original torch module).
    """

    backend: str
    tuning: str
    options: Mapping[str, Any]
    keeps_cache: str
    formats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredFacts:
    """What the report says of a lowered point without its local paths.

    `work` is what compilers count for one call of each program, by `role/origin`; `code` the sha256 of each module that
    defines the point (`steelyard.core.code`), none in runs that are older than that. `reference_by` says what computed
    the references where it was not PyTorch in float64. `layer_errors` are those of quantized programs, by role and
    format, then by layer (`steelyard.lowering.layers`).
    """

    point: str
    identity: Identity
    weight_bytes: Mapping[str, int]
    weight_notes: Mapping[str, str]
    artifact_sha256: Mapping[str, str]
    tolerances: Mapping[str, Mapping[str, float]]
    forced_from: tuple[int | None, ...] = ()
    reference_text: str | None = None
    work: Mapping[str, WorkCount] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    reference_by: str = ""
    layer_errors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the run was: the plan and the fingerprint. Holds no hostname, user name, home path or serial number.

    `point_keys` of `lowered` are `Point.key`. `baseline` is an arm's label. `environment` is the
    fingerprint: versions, CPU, kernel, governor, ..., each a plain value or `{"value": null, "reason": ...}`.
    `calibration` is the newest count of A/A comparisons made on this machine before the run, None where
    there was none. `profile` is what is declared of the device's model, None where no file describes it;
    `computed_peaks` are then, of a CPU, the bounds of the cores in the budget. `ceilings` are the newest that
    were measured on this machine, of this device and with as many threads. `code` says of each backend that is
    somebody's own the sha256 of its modules; `environments` what was in the virtual environments of backends that have
    one of their own, by `NAME@ENVIRONMENT`.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    tool_version: str
    created_utc: str
    command: tuple[str, ...]
    suite: str
    suite_version: int
    headline: str
    device: Device
    budget: Budget
    baseline: str
    arms: tuple[Arm, ...]
    cases: tuple[Case, ...]
    left_out: tuple[LeftOut, ...]
    tunings: tuple[TuningRow, ...]
    lowered: Mapping[str, LoweredFacts]
    plan: Mapping[str, Any]
    environment: Mapping[str, Any]
    calibration: AaCounts | None = None
    ceilings: Ceilings | None = None
    profile: HardwareProfile | None = None
    computed_peaks: tuple[ComputedPeak, ...] = ()
    code: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    environments: Mapping[str, VirtualEnvironment] = field(default_factory=dict)

    @property
    def settings(self) -> Settings | None:
        """`plan`, read; None where it does not say what a run was asked for."""
        return settings.read(self.plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Whole rounds measured in one go. A resumed run appends another; none is ever edited.

    `ended` is one of `precision`, `rounds`, `time`, `interrupted`, `recovered`. `noise` is the worse of the
    preflight's grade and of that of the typical launch. `disturbed` says of contaminated rounds what touched
    them: they are kept, and give no pairs and no steady numbers. `turns` says whether the launches of its warm rounds
    took turns: `on`, or why they ran one after the other; empty in runs older than turns. `groups` says why they did so
    in groups and in which; empty where all took turns with each other, or none.
    """

    index: int
    started_utc: str
    rounds: tuple[int, ...]
    ended: str
    noise: Noise
    supervisor: Mapping[str, Reading] = field(default_factory=dict)
    disturbed: Mapping[int, str] = field(default_factory=dict)
    turns: str = ""
    groups: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run in memory: everything `compare`, `tables` and `reports` read. Statistics are recomputed from it.

    `digest` stands for the run as it is stored (`steelyard.store.seal`); None for one that is not, or still grows.
    """

    manifest: Manifest
    segments: tuple[Segment, ...]
    launches: tuple[LaunchRecord, ...]
    results: tuple[Result, ...]
    digest: str | None = field(default=None, compare=False)

    @property
    def traced(self) -> bool:
        """Whether its launches had profilers, so that nothing of it was timed."""
        return any(case.scenario == "traced" for case in self.manifest.cases)

    @property
    def untimed(self) -> bool:
        """Whether its launches only say which cases complete and are right."""
        return any(case.scenario == "correctness" for case in self.manifest.cases)

    def case(self, case_id: str) -> Case:
        """The case of an id. Raises KeyError."""
        return self._cases()[case_id]

    def _cases(self) -> dict[str, Case]:
        return {case.id: case for case in self.manifest.cases}


def launches_by_segment(launches: Sequence[LaunchRecord]) -> list[list[LaunchRecord]]:
    """The launches of each segment that has any: they are stored in the order in which they ended, and a segment begins
    with a cold round of its own, on a clock of its own."""
    parts: list[list[LaunchRecord]] = []
    for record in launches:
        before = parts[-1][-1] if parts else None
        if before is None or record.round < before.round or record.ended_s < before.ended_s:
            parts.append([])
        parts[-1].append(record)
    return parts


def segment_of(run: Run, launches: Sequence[LaunchRecord]) -> Segment | None:
    """The segment that has one of the warm rounds of these launches, which are of one segment; the cold round has the
    same number in all. A segment may have no launch at all."""
    warm = {launch.round for launch in launches} - {0}
    return next((segment for segment in run.segments if warm & set(segment.rounds)), None)


def wall_s(launches: Sequence[LaunchRecord]) -> float:
    """How long the segments of these launches took together, from the first to the last of each."""
    return sum(
        max(record.ended_s for record in part) - min(record.started_s for record in part)
        for part in launches_by_segment(launches)
    )


def protocol(launches: Sequence[LaunchRecord]) -> str:
    """How the launches of the warm rounds ran: `in turns`, `in turns in 2 groups` or `one after the other`, joined with
    `and` where the segments differ; empty where there is none."""
    found = set()
    for part in launches_by_segment(launches):
        warm = [record for record in part if record.round > 0]
        groups = max((record.group for record in warm), default=0) + 1
        taking = "in turns" + (f" in {groups} groups" if groups > 1 else "")
        found |= {ONE_AFTER_THE_OTHER if record.stopped_s is None else taking for record in warm}
    return " and ".join(sorted(found))
