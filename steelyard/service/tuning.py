"""A workload tuned: candidates tried until the budget is used up, then the best measured beside what it came from.

What was tried lies in a folder of its own, a line a trial, so that the same command goes on where it was ended. A
backend whose compiler has a search of its own is tuned by that (`Runner.tuner`); of any other the options that it
declares (`Runner.searched`) are tried in all combinations.
"""

import itertools
import random
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from steelyard import plugins
from steelyard.analysis import compare_run
from steelyard.core.backend import BackendSpec
from steelyard.core.comparison import Comparison
from steelyard.core.energy import EnergySettings
from steelyard.core.errors import LoweringError, SteelyardError, UsageError
from steelyard.core.run import Run
from steelyard.core.tuning import Part, Search, Step, Trial, best_so_far, winners
from steelyard.core.workload import Point
from steelyard.engine import tuning
from steelyard.engine.lower import lower_points
from steelyard.engine.plan import Request, make_plan
from steelyard.engine.probe import probe
from steelyard.hardware.occupied import occupied
from steelyard.lowering.points import points_of
from steelyard.service.running import Outcome, announce, run_plan
from steelyard.service.screen import Screen
from steelyard.service.tried import Limit, State, progress
from steelyard.store import open_run

_TOGETHER = 4
"""Candidates of options in one run: they share its control arm, and their launches take turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What a search brought. `untuned` and `tuned` are backends, `tuned` that of the best candidate. `comparisons` are
    those of the `run` in which both were measured beside the baseline, none where there was nothing to measure, and
    `latencies` are the median calls of the backends there [s]."""

    search: Search
    trials: tuple[Trial, ...]
    folder: Path
    untuned: str
    tuned: str
    run: Path | None = None
    comparisons: tuple[Comparison, ...] = ()
    latencies: Mapping[str, float] = field(default_factory=dict)
    outcome: Outcome = "sound"

    @property
    def steps(self) -> tuple[Step, ...]:
        """The curve."""
        return best_so_far(self.search.parts, self.trials)


def tune(
    request: Request, limit: Limit, output: Path, screen: Screen, *, weights: Path | None, say: Callable[[str], None]
) -> Tuned:
    """Search within the limit, then measure. `request` names one backend, and one workload at one point; its baseline
    is measured along. Raises UsageError for what cannot be tuned, SteelyardError where a search fails."""
    spec, point = _backend(request), _point(request)
    kind = plugins.runner(spec.runner)
    available = probe([spec.text], request.device.kind)[spec.text]
    if not available.available:
        raise UsageError(f"{spec.text} cannot be tuned here: {available.reason}")
    versions = tuple(f"{name} {version}" for name, version in sorted(available.versions.items()))
    state = State.of(request, spec, point, output, versions)
    for line in state.told():
        say(line)
    whole = True
    if kind.tuner:
        untuned = kind.untuned or spec.text
        _own_search(request, spec, point, state, limit, weights, say)
        tuned = spec.text if len(winners(state.trials)) == len(state.search.parts) else ""
    else:
        untuned = spec.text
        whole = _options(request, spec, state, limit, screen, weights)
        best = winners(state.trials).get("")
        tuned = best.candidate if best else ""
    found = Tuned(search=state.search, trials=tuple(state.trials), folder=state.folder, untuned=untuned, tuned=tuned)
    if not whole:
        return replace(found, outcome="interrupted")
    return _measured(request, found, output, screen, weights, say)


def _backend(request: Request) -> BackendSpec:
    if len(request.backends) != 1 or request.backends == ("all",):
        raise UsageError("name the one backend to tune: --backend NAME")
    return plugins.backend(request.backends[0])


def _point(request: Request) -> Point:
    points = points_of(plugins.suite(request.suite), request.selection)
    if len(points) != 1:
        titles = "; ".join(point.title for point in points[:6])
        raise UsageError(
            f"one configuration is tuned at a time, and this selects {len(points)} ({titles}): choose with --workload "
            "and --set"
        )
    return points[0]


def _own_search(
    request: Request,
    spec: BackendSpec,
    point: Point,
    state: State,
    limit: Limit,
    weights: Path | None,
    say: Callable[[str], None],
) -> None:
    """Trials of the compiler's own search. An interruption keeps what was tried."""
    if not limit.left(state.trials):
        return
    if len(point.programs) != 1:
        raise UsageError(f"{point.title} has several programs, and a search is for one: choose another workload")
    ((role, _),) = point.programs.items()
    needed = plugins.runner(spec.runner).needs(spec)
    with occupied(request.device, request.budget, say if request.wait else None):
        lowered, failed = lower_points([point], needed, weights_dir=weights, device_kind=request.device.kind, say=say)
        if point.key not in lowered:
            raise LoweringError(failed[point.key].reason)
        program = lowered[point.key].programs[role]
        if reasons := [program.failures[form] for form in needed if form in program.failures]:
            raise UsageError(f"{spec.text} cannot have {point.title}: {reasons[0]}")
        spent = sum(trial.cost_s for trial in state.trials)
        left_s = float("inf") if limit.seconds is None else limit.seconds - spent
        until_s = time.monotonic() + left_s
        seed = request.seed + len(state.trials)
        silence_s = request.timeouts["compile"]
        search = tuning.trials(
            spec, request.device, request.budget, program, seed, until_s=until_s, silence_s=silence_s
        )
        with closing(search):  # ends its process
            for said in search:
                if isinstance(said, Trial):
                    state.keep(said)
                    progress(state, say)
                else:
                    state.begin(said)
                    say(f"parts: {', '.join(part.name for part in said)}")
                if not limit.left(state.trials):
                    return


def candidates(spec: BackendSpec, seed: int) -> list[BackendSpec]:
    """The backend as it was named, then with every combination of values of the options that may be searched, in an
    order drawn by the seed. Raises UsageError where there is none."""
    kind = plugins.runner(spec.runner)
    free = {name: values for name, values in kind.searched.items() if name not in spec.options}
    if not free:
        known = sorted(name for name, each in plugins.runners().items() if each.searched or each.tuner)
        raise UsageError(f"{spec.text} has nothing to search; what can be tuned: {', '.join(known)}")
    found = []
    for values in itertools.product(*((None, *values) for values in free.values())):
        chosen = {name: value for name, value in zip(free, values, strict=True) if value is not None}
        candidate = replace(spec, options={**spec.options, **chosen})
        try:
            kind.needs(candidate)
        except UsageError:  # these do not go together
            continue
        found.append(candidate)
    rest = found[1:]
    random.Random(seed).shuffle(rest)  # noqa: S311 (an order, no secret)
    return [found[0], *rest]


def _options(
    request: Request, spec: BackendSpec, state: State, limit: Limit, screen: Screen, weights: Path | None
) -> bool:
    """Trials of combinations of options, each launched, checked and timed as any backend; whether nothing was
    interrupted."""
    state.begin((Part(name=""),))
    tried = {trial.candidate for trial in state.trials}
    waiting = [each.text for each in candidates(spec, state.search.seed) if each.text not in tried]
    while waiting and limit.left(state.trials):
        room = _TOGETHER if limit.trials is None else min(_TOGETHER, limit.trials - len(state.trials))
        batch, waiting = waiting[:room], waiting[room:]
        begun = time.monotonic()
        asked = replace(
            request,
            backends=tuple(batch),
            baseline=batch[0],
            quick=True,
            rounds=1,
            time_s=None,
            energy=EnergySettings(enabled=False),
        )
        done = run_plan(make_plan(asked), state.folder, screen, weights=weights, started_s=begun)
        if done.outcome == "interrupted":
            return False
        cost_s = (time.monotonic() - begun) / len(batch)
        run = open_run(done.path)
        for candidate in batch:
            state.keep(_trial(run, candidate, cost_s))
            progress(state, screen.line)
    return True


def _trial(run: Run, candidate: str, cost_s: float) -> Trial:
    """What became of a candidate: the median of its timed calls, if it was right in every launch."""
    results = [result for result in run.results if result.arm == candidate]
    wrong = next((result for result in results if result.status != "ok"), None)
    left_out = next((entry.reason for entry in run.manifest.left_out if entry.backend == candidate), "")
    latency_s = None if wrong else _median(run, candidate)
    if wrong is not None:
        reason = f"{wrong.status.replace('_', ' ')}: {wrong.reason}"
    else:
        reason = "" if latency_s is not None else left_out or "nothing was timed"
    return Trial(candidate=candidate, cost_s=cost_s, latency_s=latency_s, reason=reason, run=run.manifest.run_id)


def _median(run: Run, arm: str) -> float | None:
    """Of the steady calls of all warm rounds [s]; None where there are none."""
    samples = [
        value
        for result in run.results
        if result.arm == arm and result.round > 0
        for measured in result.measurements
        if measured.metric == "latency_s"
        for value in measured.steady_samples
    ]
    return statistics.median(samples) if samples else None


def _measured(
    request: Request,
    found: Tuned,
    output: Path,
    screen: Screen,
    weights: Path | None,
    say: Callable[[str], None],
) -> Tuned:
    """The best candidate beside the untuned backend and the baseline, in turns."""
    if not found.tuned or found.tuned == found.untuned:
        return found
    backends = tuple(dict.fromkeys((found.untuned, found.tuned, request.baseline)))
    begun = time.monotonic()
    plan = make_plan(replace(request, backends=backends, baseline=found.untuned))
    for line in announce(plan, output):
        say(line)
    done = run_plan(plan, output, screen, weights=weights, started_s=begun)
    run = open_run(done.path)
    if not run.results:
        raise SteelyardError(f"{done.path}: nothing was measured")
    return replace(
        found,
        run=done.path,
        comparisons=tuple(each for each in compare_run(run) if each.metric == "latency_s"),
        latencies={arm: value for arm in backends if (value := _median(run, arm)) is not None},
        outcome=done.outcome,
    )
