"""The stored runs that a request could have made: what a campaign of runs finds of itself when it goes on."""

from collections.abc import Iterator
from pathlib import Path

from steelyard import __version__, plugins
from steelyard.core.backend import parse_backend
from steelyard.core.run import Run
from steelyard.engine.plan import Request
from steelyard.hardware.fingerprint import packages
from steelyard.lowering.points import points_of
from steelyard.store import list_runs, open_run


def runs_of(request: Request, folder: Path) -> Iterator[tuple[Path, Run]]:
    """The runs under `folder` that this request could have made with today's software, with their places, oldest first.

    A run that cannot be read is none.
    """
    today = packages()
    points = {point.key for point in points_of(plugins.suite(request.suite), request.selection)}
    wanted = {parse_backend(text).text for text in request.backends}
    for entry in list_runs(folder):
        if entry.problem:
            continue
        run = open_run(entry.path)
        manifest, asked = run.manifest, run.manifest.settings
        left_out = {entry.backend for entry in manifest.left_out}
        if (
            (manifest.tool_version, manifest.environment.get("packages")) == (__version__, today)
            and (manifest.device, manifest.budget) == (request.device, request.budget)
            and asked is not None
            and (asked.suite, asked.seed, asked.window_s) == (request.suite, request.seed, request.window_s)
            and (asked.turns, asked.piece) == (request.turns, request.piece)
            and {arm.backend.text for arm in manifest.arms} | left_out == wanted
            and sum(arm.sham for arm in manifest.arms) == request.aa_arms
            and {case.point.key for case in manifest.cases} == points
        ):
            yield entry.path, run


def warm_rounds(run: Run) -> set[int]:
    """The numbers of the whole rounds of a run but the cold ones; contaminated ones are among them."""
    return {number for segment in run.segments for number in segment.rounds if number > 0}
