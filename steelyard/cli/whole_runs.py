"""The stored run of a request, measured to its end where it is missing: what campaigns of runs are made of.

A campaign that was interrupted asks for the same runs again and finds those that are whole.
"""

from collections.abc import Iterator
from pathlib import Path

from steelyard import __version__, plugins
from steelyard.cli.running import new_run, resume_run
from steelyard.core.backend import parse_backend
from steelyard.core.run import Run
from steelyard.engine.plan import DEFAULT_TIMEOUTS, Request
from steelyard.hardware.fingerprint import packages
from steelyard.store import list_runs, open_run

_AGAIN = 2
"""How often rounds that others disturbed are measured again. Whether they were is decided by the noise guard alone."""


def whole_run(request: Request, folder: Path) -> Run | None:
    """The run under `folder` that this request asks for. None if it was interrupted: the same call goes on.

    It may still lack rounds where others disturbed them again and again. Raises what `bench run` does.
    """
    newest: Run | None = None
    for _ in range(1 + _AGAIN):
        begun = [run for run in stored(request, folder) if any(segment.rounds for segment in run.segments)]
        whole = [run for run in begun if lacking(run, request) <= 0]
        if whole:
            return whole[0]
        if begun:
            _go_on(begun[-1], request, folder)
        else:
            new_run(request, folder, weights=None, dry_run=False, report=False, json=False)
        newest = list(stored(request, folder))[-1]
        if newest.segments[-1].ended == "interrupted":
            return None
    return newest


def lacking(run: Run, request: Request) -> int:
    """How many warm rounds that count a stored run lacks; none once its intervals were found narrow enough."""
    if any(segment.ended == "precision" for segment in run.segments):
        return 0
    done = {n for segment in run.segments for n in segment.rounds if n > 0 and n not in segment.disturbed}
    return (request.rounds or 0) - len(done)


def stored(request: Request, folder: Path) -> Iterator[Run]:
    """The runs that this request could have made, with today's software, oldest first."""
    today = packages()
    points = {point.key for point in plugins.suite(request.suite).points(request.selection)}
    for entry in list_runs(folder):
        if entry.problem:
            continue
        run = open_run(entry.path)
        manifest = run.manifest
        wanted = {parse_backend(text).text for text in request.backends}
        left_out = {entry.backend for entry in manifest.left_out}
        if (
            (manifest.tool_version, manifest.environment.get("packages")) == (__version__, today)
            and (manifest.device, manifest.budget) == (request.device, request.budget)
            and (manifest.plan["suite"], manifest.plan["seed"]) == (request.suite, request.seed)
            and manifest.plan["window_s"] == request.window_s
            and {arm.backend.text for arm in manifest.arms} | left_out == wanted
            and sum(arm.sham for arm in manifest.arms) == request.shams
            and {case.point.key for case in manifest.cases} == points
        ):
            yield run


def _go_on(run: Run, request: Request, folder: Path) -> None:
    resume_run(
        folder,
        run.manifest.run_id,
        weights=None,
        time_s=None,
        rounds=lacking(run, request),
        timeouts=DEFAULT_TIMEOUTS,
        report=False,
        json=False,
    )
