"""What `bench run` does once its options are read: the parts of the engine joined to the store and the screen."""

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import typer

from steelyard import __version__, plugins
from steelyard.cli.command import stored_command
from steelyard.cli.earlier import rounds_seen
from steelyard.cli.exit_codes import FAILED, INTERRUPTED
from steelyard.cli.planning import describe, plan_of, rounds_done
from steelyard.cli.progress import Screen
from steelyard.cli.recorder import Recorder
from steelyard.core.backend import TUNINGS, Device
from steelyard.core.ceilings import Ceilings
from steelyard.core.errors import SteelyardError, StoreError, SuiteError
from steelyard.core.lowered import LoweredPoint
from steelyard.core.run import Manifest, Noise, Run, TuningRow
from steelyard.core.shams import Shams
from steelyard.engine.estimate import estimate, guessed
from steelyard.engine.lower import facts, lower_points
from steelyard.engine.plan import Plan, Request, make_plan
from steelyard.engine.session import Session
from steelyard.guard.board import foreign_processes
from steelyard.guard.environment import told
from steelyard.guard.grades import graded_at_end
from steelyard.guard.preflight import preflight, twice_if_noisy
from steelyard.guard.scratch import clear_orphans, scratch
from steelyard.hardware.ceilings.kept import newest as newest_ceilings
from steelyard.hardware.computed_peak import computed_peaks
from steelyard.hardware.fingerprint import fingerprint
from steelyard.hardware.occupied import occupied
from steelyard.hardware.profiles import declared
from steelyard.lowering.cache import Cache, cache_root
from steelyard.lowering.costs import slowness
from steelyard.lowering.expected import expected
from steelyard.lowering.request import ATTEMPT_POOL, POOL
from steelyard.selftest.kept import newest
from steelyard.store import RunWriter, create_run, find_run, new_run_id, open_run, prepare_root, read_manifest, resume


def new_run(request: Request, output: Path, *, weights: Path | None, dry_run: bool, report: bool, json: bool) -> int:
    """Plan, lower, measure, store, report. Returns the exit code."""
    started = time.monotonic()
    plan = make_plan(request)
    for line in announce(plan, output):
        typer.echo(line, err=not dry_run)
    if dry_run:
        return 0
    path, code = run_plan(plan, output, weights=weights, json=json, started_s=started)
    return _finish(path, code, report=report)


def announce(plan: Plan, output: Path) -> Iterator[str]:
    """What will run and about how long it takes, before anything starts. Under `output` lie earlier runs."""
    formats = sorted({name for needed in plan.formats.values() for name in needed})
    lowering = expected(plan.points, formats, Cache(cache_root()), platform=plan.request.device.kind)
    rounds = rounds_seen(output, plan) or guessed(plan, slowness())
    yield from describe(plan, estimate(plan, lowering, rounds))
    if line := told():
        yield line


def run_plan(
    plan: Plan,
    output: Path,
    *,
    weights: Path | None,
    json: bool,
    started_s: float,
    allow: Callable[[Manifest], None] = lambda _: None,
) -> tuple[Path, int]:
    """Lower, measure, store. Returns the run's folder and the exit code.

    `allow` sees the manifest, and with it what was lowered, before anything is measured; it raises what forbids it.
    """
    request = plan.request
    with (
        occupied(request.device, request.budget, _waits if request.wait else None) as waited_s,
        _in_use(),
        Screen(as_json=json) as screen,
    ):
        _alone(request.device, allowed=request.allow_foreign)
        prepare_root(output)
        _clear(screen.line)
        lowered, unlowered, faults = _lower(plan, weights, screen)
        plan = plan.without(faults)
        manifest = _manifest(plan, lowered)
        allow(manifest)
        with create_run(output, manifest) as writer:
            code = _segment(
                plan, lowered, unlowered, manifest, writer, screen, started_s=started_s + waited_s, first_round=1
            )
    return writer.path, code


def resume_run(
    output: Path,
    which: str,
    *,
    weights: Path | None,
    time_s: float | None,
    rounds: int | None,
    timeouts: Mapping[str, float],
    report: bool,
    json: bool,
    meter: str = "",
    allow_foreign: bool = False,
    wait: bool = False,
) -> int:
    """A further segment of whole rounds of a stored run. Returns the exit code."""
    path = find_run(output, which)
    manifest = read_manifest(path)
    with occupied(manifest.device, manifest.budget, _waits if wait else None):
        _alone(manifest.device, allowed=allow_foreign or manifest.plan.get("allow_foreign_processes", False))
        code = _go_on(path, weights=weights, time_s=time_s, rounds=rounds, timeouts=timeouts, json=json, meter=meter)
    return _finish(path, code, report=report)


def _go_on(
    path: Path,
    *,
    weights: Path | None,
    time_s: float | None,
    rounds: int | None,
    timeouts: Mapping[str, float],
    json: bool,
    meter: str,
) -> int:
    """Measure and store the segment. The run is read only now: whoever was waited for may have measured it, too."""
    started = time.monotonic()
    run = open_run(path)
    if line := told():
        typer.echo(line, err=True)
    done = rounds_done(run.segments, run.manifest.plan["scenario"])
    first_round = max((result.round for result in run.results), default=0) + 1
    plan = plan_of(
        run.manifest, time_s=time_s, rounds=rounds, timeouts=timeouts, done=done, weights=weights, meter=meter
    )
    with _in_use(), Screen(as_json=json, before=first_round - 1) as screen:
        _clear(screen.line)
        lowered, unlowered, faults = _lower(plan, weights, screen)
        if faults:
            raise SuiteError("; ".join(dict.fromkeys(faults.values())))
        now = dataclasses.replace(
            run.manifest,
            tool_version=__version__,
            lowered={key: facts(point) for key, point in lowered.items()},
            environment=fingerprint(),
            code=plan.code,
        )
        with resume(path, now) as writer:
            code = _segment(
                plan,
                lowered,
                unlowered,
                run.manifest,
                writer,
                screen,
                started_s=started,
                first_round=first_round,
                before=run,
            )
    return code


def _clear(say: Callable[[str], None]) -> None:
    """What killed processes left on disk is removed, and told: it is gigabytes at times."""
    for left in (*clear_orphans(), *Cache(cache_root()).clear_orphans()):
        say(f"removed {left}, which a killed process had left")


def _lower(
    plan: Plan, weights: Path | None, screen: Screen
) -> tuple[dict[str, LoweredPoint], dict[str, str], dict[str, str]]:
    """What was lowered, and by point key why the rest was not: for another reason, or by the suite's own mistake."""
    formats = sorted({name for needed in plan.formats.values() for name in needed if name != "module"})
    lowered, failures = lower_points(
        plan.points,
        formats,
        weights_dir=weights,
        device_kind=plan.request.device.kind,
        say=screen.line,
        pool=ATTEMPT_POOL if plan.request.attempt else POOL,
    )
    others = {key: failure.reason for key, failure in failures.items() if not failure.by_suite}
    return lowered, others, {key: failure.reason for key, failure in failures.items() if failure.by_suite}


def _segment(
    plan: Plan,
    lowered: Mapping[str, LoweredPoint],
    unlowered: Mapping[str, str],
    manifest: Manifest,
    writer: RunWriter,
    screen: Screen,
    *,
    started_s: float,
    first_round: int,
    before: Run | None = None,
) -> int:
    """Measure a segment; `before` is the run as it was stored so far. Returns the exit code."""
    device = plan.request.device
    # Of an attempt nothing is timed: what noise and rounds there are concerns nobody.
    say = (lambda _: None) if plan.request.attempt else screen.line
    look = partial(preflight, plan.request.budget.cpus, gpu=device.index if device.kind == "cuda" else None)
    judged = not (plan.request.quick or plan.request.attempt)
    noise = twice_if_noisy(look, say) if judged else look()
    say(f"machine noise: grade {noise.grade}" + "".join(f"; {text}" for text in noise.evidence))
    writer.begin_segment(started_utc=_now(), noise=noise)
    earlier = () if before is None else before.results
    segments = () if before is None else before.segments
    recorder = Recorder(writer, screen, manifest, plan, earlier, segments=segments, noise=noise)
    with scratch() as work:
        session = Session(
            plan,
            lowered,
            unlowered,
            recorder,
            run_id=manifest.run_id,
            work=work,
            started_s=started_s,
            first_round=first_round,
            earlier=earlier,
            launched=0 if before is None else len(before.launches),
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
    say(f"ended: {_ENDED[done.ended]}; {max(0, len(done.rounds) - 1)} rounds after the cold one")
    for line in _noise_during(noise, at_end, done.disturbed):
        say(line)
    return INTERRUPTED if done.ended == "interrupted" else 0 if recorder.sound else FAILED


def _noise_during(before: Noise, at_end: Noise, disturbed: Mapping[int, str]) -> Iterator[str]:
    """What is to be said of the noise once the rounds are over."""
    if at_end.grade != before.grade:
        told = "; ".join(at_end.evidence[len(before.evidence) :])
        yield f"machine noise over the launches: grade {at_end.grade} instead of {before.grade}; {told}"
    if disturbed:
        numbers = ", ".join(map(str, sorted(disturbed)))
        yield f"disturbed rounds, kept in the data: {numbers}"


_ENDED = {
    "precision": "the intervals of the headline are as narrow as asked for",
    "rounds": "the planned number of rounds is reached",
    "time": "the time given is used up",
    "interrupted": "interrupted; what was measured is kept, --resume goes on",
}


def _manifest(plan: Plan, lowered: Mapping[str, LoweredPoint]) -> Manifest:
    request = plan.request
    environment = fingerprint()
    profile = declared(request.device)
    return Manifest(
        run_id=new_run_id(plan.suite.name),
        tool_version=__version__,
        created_utc=_now(),
        command=stored_command(sys.argv[1:]),
        suite=plan.suite.name,
        suite_version=plan.suite.version,
        headline=plan.suite.headline,
        device=request.device,
        budget=request.budget,
        baseline=plan.baseline.label,
        arms=plan.arms,
        cases=plan.cases,
        left_out=plan.left_out,
        tunings=tuple(
            TuningRow(
                backend=arm.backend.text,
                tuning=tuning,
                options=plugins.runner(arm.backend.runner).tunings[tuning],
                keeps_cache=plugins.runner(arm.backend.runner).keeps_cache,
                formats=plan.formats[arm.backend.text],
            )
            for arm in plan.arms
            if not arm.control and not arm.sham
            for tuning in TUNINGS
        ),
        lowered={key: facts(point) for key, point in lowered.items()},
        plan={
            "suite": request.suite,
            "scenario": request.scenario,
            "minimum_rounds": plan.minimum_rounds,
            "maximum_rounds": plan.maximum_rounds,
            "quick": request.quick,
            "time_s": request.time_s,
            "window_s": request.window_s,
            "energy": request.energy.stored,
            "seed": request.seed,
            "turns": request.turns,
            **({"piece": request.piece} if request.piece > 1 else {}),
            **({} if request.device.kind == "cpu" else {"allow_foreign_processes": request.allow_foreign}),
        },
        environment=environment,
        calibration=_calibration(environment, turns=request.turns),
        ceilings=_ceilings(environment, request.device, request.budget.threads),
        profile=profile,
        computed_peaks=computed_peaks(request.budget.cpus) if request.device.kind == "cpu" and profile is None else (),
        code=plan.code,
    )


def _alone(device: Device, *, allowed: bool) -> None:
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
    typer.echo(f"{others}: allowed, and recorded in the run", err=True)


def _calibration(environment: Mapping[str, Any], *, turns: bool) -> Shams | None:
    """The newest counts of this machine by the same protocol. A file that cannot be read is named and left out."""
    try:
        return newest(environment, turns=turns)
    except StoreError as error:
        typer.echo(
            f"the counts of sham comparisons are left out: {error}; bench selftest --aa makes them anew", err=True
        )
        return None


def _ceilings(environment: Mapping[str, Any], device: Device, threads: int) -> Ceilings | None:
    """The newest ceilings of this machine for so many threads. A file that cannot be read is named and left out."""
    try:
        return newest_ceilings(environment, device, threads)
    except StoreError as error:
        typer.echo(f"the ceilings are left out: {error}; bench hardware ceilings makes them anew", err=True)
        return None


def _waits(told: str) -> None:
    typer.echo(told, err=True)


def _in_use() -> AbstractContextManager[None]:
    """Keeps `bench cache clean` away from the artifacts for as long as launches read them."""
    return Cache(cache_root()).lease()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _finish(path: Path, code: int, *, report: bool) -> int:
    from steelyard.cli.report import found

    typer.echo(f"run: {path}", err=True)
    for line in found(path):
        typer.echo(line, err=True)
    if report:
        from steelyard.cli.report import reported

        for line in reported(path):
            typer.echo(line, err=True)
    return code
