"""From what the user asked to cases: points x backends, formats, minutes and gigabytes, before anything starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from steelyard import plugins
from steelyard.core.backend import BackendSpec, Budget, Device, parse_backend
from steelyard.core.case import CONTROL_SUFFIX, Arm, Case, Scenario
from steelyard.core.energy import EnergySettings
from steelyard.core.errors import SuiteError, UsageError
from steelyard.core.run import LeftOut
from steelyard.core.shard import ShardPlace
from steelyard.core.tolerance import check_stated
from steelyard.core.virtual_environment import VirtualEnvironment
from steelyard.core.workload import Point, Selection, Suite
from steelyard.engine.bundles import Bundle, bundles_of, together_of
from steelyard.engine.own_code import own_code
from steelyard.engine.probe import probe
from steelyard.environments.kept import used
from steelyard.lowering.format import EAGER_FORMAT, GRAPH
from steelyard.lowering.named_drivers import permit
from steelyard.lowering.origin import main_source
from steelyard.lowering.points import points_of
from steelyard.stats.planning import MINIMUM_ROUNDS, rounds_to_fire

MAXIMUM_ROUNDS = 30
COLD_START_ROUNDS = 5
_REPEATED_PART = 4

DEFAULT_TIMEOUTS: Mapping[str, float] = {
    "spawn": 60.0,
    "import": 180.0,
    "load": 300.0,
    "compile": 900.0,
    "first_run": 300.0,
    "second_run": 300.0,
    "steady": 120.0,  # added to the window's cap
    "check": 120.0,
    "energy": 180.0,  # added to the three windows, which a slow meter makes long
}
"""Seconds a stage may last before its launch is ended and the case is `timed_out`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked of `bench run`, parsed but not yet looked up.

    `aa_arms` is how many times the baseline is launched again in each round as if it were a candidate. An `attempt`
    only asks whether its cases complete: one cold launch of each backend, no control arm, one input set bound.
    `turns` lets the launches of a warm round take turns, as many as there is room for (`engine.room`). With a `piece`
    of more than one turn every other turn of a window lasts so many, for whoever asks what short turns do to a number.
    `shard` is which part of a plan it is, None where it is all of it. `ladders` are backends among them, or values of
    an axis, in an order.
    What takes far more than `latency_bound_s` in the cold round is not launched again.
    """

    suite: str
    backends: tuple[str, ...]
    device: Device
    budget: Budget
    selection: Selection
    baseline: str = "eager"
    scenario: Scenario = "single-stream"
    rounds: int | None = None
    quick: bool = False
    time_s: float | None = None
    window_s: float = 2.0
    seed: int = 0
    timeouts: Mapping[str, float] = field(default_factory=lambda: DEFAULT_TIMEOUTS)
    aa_arms: int = 0
    attempt: bool = False
    energy: EnergySettings = field(default_factory=EnergySettings)
    allow_foreign: bool = False
    wait: bool = False
    turns: bool = True
    piece: int = 1
    shard: ShardPlace | None = None
    ladders: tuple[tuple[str, ...], ...] = ()
    latency_bound_s: float | None = None

    @property
    def timed(self) -> bool:
        """Whether its launches have a timed window."""
        return self.scenario == "single-stream"

    @property
    def alone(self) -> bool:
        """Whether a backend is launched for itself, beside no baseline and no control arm."""
        return self.once or self.scenario == "traced"

    @property
    def once(self) -> bool:
        """Whether it only asks which cases complete and are right: there is the cold round and no other."""
        return self.attempt or self.scenario == "correctness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will run: arms (the control arm among them), points, the formats each point needs, what is left out.

    `code` is that of backends which are somebody's own, as it was when the plan was made (`own_code`), `environments`
    what was in the virtual environments of those that have one. `done` is how
    many rounds that count earlier segments of the run have; minimum and maximum are of those still to come. So many
    models as are `together` share a launch.
    """

    request: Request
    suite: Suite
    points: tuple[Point, ...]
    arms: tuple[Arm, ...]
    baseline: Arm
    left_out: tuple[LeftOut, ...]
    formats: Mapping[str, tuple[str, ...]]
    minimum_rounds: int
    maximum_rounds: int
    code: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    environments: Mapping[str, VirtualEnvironment] = field(default_factory=dict)
    done: int = 0
    together: int = 1

    @property
    def lowered_to(self) -> tuple[str, ...]:
        """The formats that lowering makes; of a traced run the source graph, too, where a point has one."""
        graphed = any(not main_source(point).lacks(GRAPH) for point in self.points)
        own = (GRAPH,) if self.request.scenario == "traced" and graphed else ()
        return tuple(sorted({name for needed in (*self.formats.values(), own) for name in needed} - {EAGER_FORMAT}))

    @property
    def primary(self) -> int:
        """The size of the primary family: a comparison for each backend but the baseline at each point of the
        headline."""
        others = sum(1 for arm in self.arms[1:] if not arm.control)
        return others * sum(point.workload == self.suite.headline for point in self.points)

    @property
    def fewest_rounds(self) -> int:
        """How many more warm rounds the primary family needs to give a verdict; 0 where none is asked for."""
        request = self.request
        asked = request.timed and not (request.quick or request.attempt)
        return max(0, rounds_to_fire(self.primary) - self.done) if asked and self.primary else 0

    @property
    def repeats(self) -> int:
        """How many rounds may be appended for contaminated ones: a quarter of the planned number, and none where there
        is no timed window."""
        return self.maximum_rounds // _REPEATED_PART if self.request.timed else 0

    def case(self, arm: Arm, point: Point) -> Case:
        """The case of an arm at a point. The control arm's case is the baseline's."""
        return Case(
            point=point,
            backend=arm.backend,
            device_kind=self.request.device.kind,
            scenario=self.request.scenario,
            budget=self.request.budget,
        )

    @property
    def sound(self) -> bool:
        """Whether the suite could make every point."""
        return not any(entry.status == "suite error" for entry in self.left_out)

    def without(self, faults: Mapping[str, str]) -> "Plan":
        """Without the points that the suite got wrong, each told once; `faults` says how, by point key.

        Raises SuiteError where no point is left.
        """
        if not faults:
            return self
        points = tuple(point for point in self.points if point.key not in faults)
        if not points:
            raise SuiteError("; ".join(dict.fromkeys(faults.values())))
        wrong = tuple(
            LeftOut(backend="all", point=point.title, reason=faults[point.key], status="suite error")
            for point in self.points
            if point.key in faults
        )
        return replace(self, points=points, left_out=(*self.left_out, *wrong))

    @property
    def bundles(self) -> tuple[Bundle, ...]:
        """What the launches of an arm run. Under a limit of memory each point has launches of its own, so that the
        limit is that of one case."""
        if self.request.budget.memory_cap_bytes is not None:
            return tuple((point,) for point in self.points)
        return bundles_of(self.points, self.together)

    @property
    def cases(self) -> tuple[Case, ...]:
        """Every case once; the control arm and A/A arms add none."""
        arms = [arm for arm in self.arms if not arm.control and not arm.sham]
        return tuple(self.case(arm, point) for arm in arms for point in self.points)


def make_plan(request: Request, points: tuple[Point, ...] | None = None) -> Plan:
    """Look up names, probe backends in child processes, expand points. Raises UsageError.

    `points` are given where they are known already, as in a replay; otherwise the suite selects them.
    """
    suite = plugins.suite(request.suite)
    if points is None:
        points = points_of(suite, request.selection)
        for point in points:
            permit(point.driver)
    if not points:
        raise UsageError(f"suite '{suite.name}': nothing is left to run after --workload and --exclude")
    check_stated(request.budget.tolerance, "--tolerance")
    for point in points:
        check_stated(point.tolerance, f"suite '{suite.name}', workload '{point.workload}'")
    wanted = _wanted(request)
    found = probe([spec.text for spec in wanted], request.device.kind)
    usable = [spec for spec in wanted if found[spec.text].available]
    left_out = [
        LeftOut(backend=spec.text, reason=found[spec.text].reason) for spec in wanted if not found[spec.text].available
    ]
    if "all" in request.backends:
        left_out += [LeftOut(backend=offer.name, reason=offer.problem) for offer in plugins.unusable("backend")]
    if request.budget.memory_cap_by == "runtime":
        usable, uncapped = _capping(usable, request.device)
        left_out += uncapped
    if not usable:
        reasons = "; ".join(f"{entry.backend}: {entry.reason}" for entry in left_out)
        raise UsageError(f"no backend can run on {request.device.id}: {reasons}")
    baseline = _baseline(request, usable, points)
    rest = [spec for spec in usable if spec.text != baseline.text]
    control = Arm(label=baseline.text + CONTROL_SUFFIX, backend=baseline, control=True)
    arms = (
        Arm(label=baseline.text, backend=baseline),
        *(Arm(label=spec.text, backend=spec) for spec in rest),
        *(Arm(label=f"{baseline.text} (A/A {n})", backend=baseline, sham=True) for n in range(1, request.aa_arms + 1)),
        *(() if request.alone else (control,)),
    )
    formats = {spec.text: plugins.runner(spec.runner).needs(spec) for spec in usable}
    fewest, most = _rounds(request, suite)
    return Plan(
        request=request,
        suite=suite,
        points=points,
        arms=arms,
        baseline=arms[0],
        left_out=tuple(left_out),
        formats=formats,
        minimum_rounds=fewest,
        maximum_rounds=most,
        code=own_code(usable),
        environments=used(usable),
        together=together_of(suite, timed=request.timed and not request.attempt),
    )


def _wanted(request: Request) -> list[BackendSpec]:
    names: list[str] = []
    for text in request.backends:
        if text == "all":
            names += [name for name, kind in plugins.runners().items() if not kind.idle]
        else:
            names.append(text)
    if request.baseline not in names and not request.alone:
        names.insert(0, request.baseline)
    specs: dict[str, BackendSpec] = {}
    for text in names:
        spec = plugins.backend(text)
        plugins.runner(spec.runner).check_options(spec)
        specs.setdefault(spec.text, spec)
    return list(specs.values())


def _capping(usable: Sequence[BackendSpec], device: Device) -> tuple[list[BackendSpec], list[LeftOut]]:
    """Those whose runtime keeps a limit of device memory, and the others with the reason."""
    able = [spec for spec in usable if plugins.runner(spec.runner).caps_memory]
    reason = f"the runtime cannot be held to a memory cap on {device.id}: leave --memory-cap out to run it"
    return able, [LeftOut(backend=spec.text, reason=reason) for spec in usable if spec not in able]


def _baseline(request: Request, usable: Sequence[BackendSpec], points: Sequence[Point]) -> BackendSpec:
    """The one asked for, else the first: of those that can have every point in their formats, if any can."""
    wanted = parse_backend(request.baseline).text
    ordered = sorted(usable, key=lambda spec: spec.text != wanted)

    def lacks(spec: BackendSpec) -> bool:
        forms = plugins.runner(spec.runner).needs(spec)
        return any(main_source(point).lacks(form) for point in points for form in forms)

    return next((spec for spec in ordered if not lacks(spec)), ordered[0])


def _rounds(request: Request, suite: Suite) -> tuple[int, int]:
    """The fewest rounds and the most: one number where neither precision nor time decides on the way."""
    if request.once:
        count = 0
    elif request.quick:
        count = request.rounds or suite.quick_rounds
    elif request.scenario == "cold-start":
        count = max(COLD_START_ROUNDS, request.rounds or 0)
    elif request.scenario == "traced":
        count = request.rounds or 1
    else:
        return min(MINIMUM_ROUNDS, request.rounds or MINIMUM_ROUNDS), request.rounds or MAXIMUM_ROUNDS
    return count, count
