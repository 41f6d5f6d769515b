"""The stored run of a request, measured to its end where it is missing: what campaigns of runs are made of.

A campaign that was interrupted asks for the same runs again and finds those that are whole.
"""

from collections.abc import Iterator
from pathlib import Path

from steelyard.core.errors import SteelyardError
from steelyard.core.run import Run
from steelyard.engine.plan import Request
from steelyard.service.running import new_run, resume_run
from steelyard.service.screen import Screen
from steelyard.service.stored_plan import rounds_done
from steelyard.service.stored_runs import runs_of

_AGAIN = 2
"""How often contaminated rounds are measured again. Whether they were is decided by the noise guard alone."""


def whole_run(request: Request, folder: Path) -> Run | None:
    """The run under `folder` that this request asks for. None if it was interrupted: the same call goes on.

    It may still lack rounds where they were contaminated again and again. Raises what `bench run` does.
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
            with Screen() as screen:
                new_run(request, folder, screen)
        newest = next(iter(reversed(list(stored(request, folder)))), None)
        if newest is None:
            raise SteelyardError(
                f"{folder}: the run that was just made is not the one that was asked for: bench show latest tells what "
                "was left out of it"
            )
        if newest.segments[-1].ended == "interrupted":
            return None
    return newest


def lacking(run: Run, request: Request) -> int:
    """How many warm rounds that count a stored run lacks; none once its intervals were found narrow enough."""
    if any(segment.ended == "precision" for segment in run.segments):
        return 0
    return (request.rounds or 0) - rounds_done(run, request.scenario)


def stored(request: Request, folder: Path) -> Iterator[Run]:
    """The runs that this request could have made, with today's software, oldest first."""
    return (run for _, run in runs_of(request, folder))


def _go_on(run: Run, request: Request, folder: Path) -> None:
    with Screen() as screen:
        resume_run(folder, run.manifest.run_id, screen, rounds=lacking(run, request))
