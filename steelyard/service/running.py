"""Runs measured: the parts of the engine joined to the store and to whoever looks on."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Literal

from steelyard import __version__
from steelyard.artifact.replay import settings
from steelyard.core.backend import Device
from steelyard.core.errors import SteelyardError, SuiteError
from steelyard.core.folders import TRACES
from steelyard.core.lowered import LoweredPoint
from steelyard.core.run import Manifest, Noise, Run
from steelyard.engine.estimate import estimate, guessed
from steelyard.engine.lower import facts, lower_points
from steelyard.engine.plan import DEFAULT_TIMEOUTS, Plan, Request, make_plan
from steelyard.engine.session import Session
from steelyard.guard.board import foreign_processes
from steelyard.guard.environment import shell_warning
from steelyard.guard.grades import graded_at_end
from steelyard.guard.preflight import REST_S, preflight, twice_if_noisy
from steelyard.guard.scratch import clear_orphans, scratch
from steelyard.hardware.fingerprint import fingerprint
from steelyard.hardware.occupied import occupied
from steelyard.lowering.cache import Cache, cache_root
from steelyard.lowering.costs import slowness
from steelyard.lowering.expected import expected
from steelyard.lowering.named_drivers import permit
from steelyard.lowering.request import ATTEMPT_POOL, POOL
from steelyard.service.earlier import rounds_seen
from steelyard.service.manifest import manifest_of, now
from steelyard.service.plan_text import describe
from steelyard.service.recorder import Recorder
from steelyard.service.screen import Screen
from steelyard.service.stored_plan import plan_of, rounds_done
from steelyard.store import (
    RunWriter,
    create_run,
    drivers_of,
    find_run,
    last_round,
    open_run,
    prepare_root,
    read_manifest,
    resume,
)
from steelyard.tables.ended import ON_A_SCREEN
from steelyard.tables.format import counted

Outcome = Literal["sound", "failed", "interrupted"]
"""`failed`: a case that was planned as runnable ended neither ok nor unsupported. What was measured is stored in any
case."""


@dataclasses.dataclass(frozen=True, slots=True)
class StoredOutcome:
    """Where a run is stored, and how its segment ended."""

    path: Path
    outcome: Outcome


def new_run(request: Request, output: Path, screen: Screen, *, weights: Path | None = None) -> StoredOutcome:
    """Plan, tell the plan, lower, measure and store. Raises SteelyardError for what cannot be measured."""
    started = time.monotonic()
    plan = make_plan(request)
    for line in announce(plan, output):
        screen.line(line)
    return run_plan(plan, output, screen, weights=weights, started_s=started)


def announce(plan: Plan, output: Path) -> Iterator[str]:
    """What will run and about how long it takes, before anything starts. Under `output` lie earlier runs."""
    lowering = expected(plan.points, plan.lowered_to, Cache(cache_root()), platform=plan.request.device.kind)
    rounds = rounds_seen(output, plan) or guessed(plan, slowness())
    yield from describe(plan, estimate(plan, lowering, rounds))
    if line := shell_warning():
        yield line


def run_plan(
    plan: Plan,
    output: Path,
    screen: Screen,
    *,
    started_s: float,
    weights: Path | None = None,
    allow: Callable[[Manifest], None] = lambda _: None,
    command: Sequence[str] | None = None,
) -> StoredOutcome:
    """Lower, measure, store.

    `allow` sees the manifest, and with it what was lowered, before anything is measured; it raises what forbids it.
    `command` is how the run was asked for, where not by the command line of this process.
    """
    request = plan.request
    with occupied(request.device, request.budget, screen.line if request.wait else None) as waited_s, _in_use():
        _alone(request.device, screen.line, allowed=request.allow_foreign)
        prepare_root(output)
        _clear(screen.line)
        lowered, unlowered, faults = _lower(plan, weights, screen.line)
        plan = plan.without(faults)
        manifest = manifest_of(plan, lowered, screen.line, command)
        allow(manifest)
        with create_run(output, manifest) as writer:
            measured = _Measured(plan, lowered, unlowered, started_s=started_s + waited_s)
            outcome = measured.segment(manifest, writer, screen)
    return StoredOutcome(writer.path, outcome)


def resume_run(
    output: Path,
    which: str,
    screen: Screen,
    *,
    weights: Path | None = None,
    time_s: float | None = None,
    rounds: int | None = None,
    timeouts: Mapping[str, float] = DEFAULT_TIMEOUTS,
    meter: str = "",
    allow_foreign: bool = False,
    wait: bool = False,
) -> StoredOutcome:
    """A further segment of whole rounds of a stored run. Whoever goes on with one uses the code that it names."""
    path = find_run(output, which)
    for driver in drivers_of(path):
        permit(driver)
    manifest = read_manifest(path)
    with occupied(manifest.device, manifest.budget, screen.line if wait else None), _in_use():
        allowed = allow_foreign or bool(settings(manifest).allow_foreign)
        _alone(manifest.device, screen.line, allowed=allowed)
        # The run is read only now: whoever was waited for may have measured it, too.
        started, run = time.monotonic(), open_run(path)
        if line := shell_warning():
            screen.line(line)
        done = rounds_done(run, settings(run.manifest).scenario)
        plan = plan_of(
            run.manifest, time_s=time_s, rounds=rounds, timeouts=timeouts, done=done, weights=weights, meter=meter
        )
        screen.goes_on(max((result.round for result in run.results), default=0))
        _clear(screen.line)
        lowered, unlowered, faults = _lower(plan, weights, screen.line)
        if faults:
            raise SuiteError("; ".join(dict.fromkeys(faults.values())))
        here = dataclasses.replace(
            run.manifest,
            tool_version=__version__,
            lowered={key: facts(point) for key, point in lowered.items()},
            environment=fingerprint(),
            code=plan.code,
            environments=plan.environments,
        )
        with resume(path, here) as writer:
            measured = _Measured(plan, lowered, unlowered, started_s=started)
            outcome = measured.segment(run.manifest, writer, screen, before=run)
    return StoredOutcome(path, outcome)


@dataclasses.dataclass(frozen=True, slots=True)
class _Measured:
    """A plan with what was lowered for it, and by point key why the rest was not."""

    plan: Plan
    lowered: Mapping[str, LoweredPoint]
    unlowered: Mapping[str, str]
    started_s: float = dataclasses.field(kw_only=True)

    def segment(self, manifest: Manifest, writer: RunWriter, screen: Screen, *, before: Run | None = None) -> Outcome:
        """Measure and store a segment; `before` is the run as it was stored so far."""
        plan, request = self.plan, self.plan.request
        # Nothing of it is timed: what noise and rounds there are concerns nobody.
        say = (lambda _: None) if request.alone else screen.line
        gpu = request.device.index if request.device.kind == "cuda" else None
        look = partial(preflight, request.budget.cpus, gpu=gpu)
        timed_s = request.window_s * len(plan.arms) * len(plan.points) * plan.maximum_rounds
        # What takes less time than the rest does not wait for it.
        once = request.quick or request.alone or timed_s < REST_S
        noise = look() if once else twice_if_noisy(look, say)
        say(f"machine noise: grade {noise.grade}" + "".join(f"; {text}" for text in noise.evidence))
        writer.begin_segment(started_utc=now(), noise=noise)
        earlier = () if before is None else before.results
        recorder = Recorder(writer, screen, manifest, plan, before, noise=noise)
        with scratch() as work:
            session = Session(
                plan,
                self.lowered,
                self.unlowered,
                recorder,
                run_id=manifest.run_id,
                work=work,
                started_s=self.started_s,
                first_round=max(last_round(writer.path), *(result.round for result in earlier), 0) + 1,
                earlier=earlier,
                launched=0 if before is None else len(before.launches),
                traces=None if request.scenario != "traced" else writer.path / TRACES,
            )
            done = session.run()
        at_end = graded_at_end(noise, recorder.launches)
        writer.finish(
            ended=done.ended,
            rounds=done.rounds,
            supervisor=done.supervisor,
            noise=at_end,
            disturbed=done.disturbed,
            turns=done.turns,
            groups=done.groups,
        )
        say(f"ended: {ON_A_SCREEN[done.ended]}; {counted(max(0, len(done.rounds) - 1), 'round')} after the cold one")
        for line in _noise_during(noise, at_end, done.disturbed):
            say(line)
        return "interrupted" if done.ended == "interrupted" else "sound" if recorder.sound else "failed"


def _noise_during(before: Noise, at_end: Noise, contaminated: Mapping[int, str]) -> Iterator[str]:
    """What is to be said of the noise once the rounds are over."""
    if at_end.grade != before.grade:
        found = "; ".join(at_end.evidence[len(before.evidence) :])
        yield f"machine noise over the launches: grade {at_end.grade} instead of {before.grade}; {found}"
    if contaminated:
        numbers = ", ".join(map(str, sorted(contaminated)))
        yield f"contaminated rounds, kept in the data: {numbers}"


def _clear(say: Callable[[str], None]) -> None:
    """What killed processes left on disk is removed, and told: it is gigabytes at times."""
    for left in (*clear_orphans(), *Cache(cache_root()).clear_orphans()):
        say(f"removed {left}, which a killed process had left")


def _lower(
    plan: Plan, weights: Path | None, say: Callable[[str], None]
) -> tuple[dict[str, LoweredPoint], dict[str, str], dict[str, str]]:
    """What was lowered, and by point key why the rest was not: for another reason, or by the suite's own mistake."""
    lowered, failures = lower_points(
        plan.points,
        plan.lowered_to,
        weights_dir=weights,
        device_kind=plan.request.device.kind,
        say=say,
        pool=ATTEMPT_POOL if plan.request.once else POOL,
    )
    others = {key: failure.reason for key, failure in failures.items() if not failure.by_suite}
    return lowered, others, {key: failure.reason for key, failure in failures.items() if failure.by_suite}


def _alone(device: Device, say: Callable[[str], None], *, allowed: bool) -> None:
    """Raises SteelyardError where other processes compute on the device, unless that is allowed; then it is told."""
    count, ids = foreign_processes(device.kind, device.index)
    if not count.value:
        return
    what = "another process computes" if len(ids) == 1 else f"{len(ids)} other processes compute"
    others = f"{what} on {device.id} (process ids: {', '.join(map(str, ids))})"
    if not allowed:
        raise SteelyardError(
            f"{others}, which would be measured, too: end what runs there, choose another --device, or go on with "
            "--allow-foreign-processes, which the run then records"
        )
    say(f"{others}: allowed, and recorded in the run")


def _in_use() -> AbstractContextManager[None]:
    """Keeps `bench cache clean` away from the artifacts for as long as launches read them."""
    return Cache(cache_root()).lease()
