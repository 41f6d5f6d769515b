"""Points to lowered points: weights, then inputs and references, then formats; everything once, through the cache.

References of all models come first and formats afterwards, so that no float64 copy of a model is held
while it is exported, and eager's errors are taken before a converter changes the process.
"""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from steelyard.core.errors import Denied, SteelyardError, SuiteError
from steelyard.core.hashing import stable_hash
from steelyard.core.lowered import LoweredPoint
from steelyard.core.reason import reason_of
from steelyard.core.workload import Identity, Point, Program
from steelyard.lowering.artifacts import Artifacts
from steelyard.lowering.attempts import Attempts
from steelyard.lowering.cache import Cache
from steelyard.lowering.cached import Entry
from steelyard.lowering.calibration import Samples, samples_of
from steelyard.lowering.costs import LoweringCosts
from steelyard.lowering.origin import Found, main_source
from steelyard.lowering.points import of_point
from steelyard.lowering.references import point_made_with, read_point
from steelyard.lowering.request import LoweringFailure, LoweringRequest, LoweringResponse, Progress
from steelyard.lowering.steps import (
    Step,
    calibrated,
    format_step,
    formats_of,
    references_step,
    steps_of,
    weights_step,
)
from steelyard.lowering.weights import obtain_weights, tokenizer
from steelyard.lowering.written import written_by
from steelyard.measure.telemetry import without_telemetry

_T = TypeVar("_T")


def lower(request: LoweringRequest, progress: Callable[[Progress], None]) -> LoweringResponse:
    """Lower every point of the request. A point that fails is in the response's `failures`; others go on.

    Raises UsageError for an unknown format and for a cache that cannot be used, Denied if it is closed to this user.
    """
    job = _Job(request, progress)
    with job.cache.lease():
        for _, points in groupby(sorted(request.points, key=_weights), key=_weights):
            job.reference(list(points))
        job.make_formats(first=request.processes - 1, wait=False)  # the others began with those before it
        job.make_formats(first=0, wait=True)
        done = tuple(job.finish(point) for point in request.points if point.key not in job.failures)
    return LoweringResponse(points=done, failures=tuple(job.failures.values()))


def lower_ahead(request: LoweringRequest, first: int, progress: Callable[[Progress], None]) -> None:
    """Make formats, of the `first` program first, which the process that lowers the request will find in the cache.

    A format that fails here fails there, too. Raises whatever keeps it from going on; the other process can do without.
    """
    job = _Job(replace(request, at=None), progress)
    with job.cache.lease():
        job.make_formats(first=first, wait=False)


class _Job:
    """One request under way, in one process."""

    def __init__(self, request: LoweringRequest, progress: Callable[[Progress], None]) -> None:
        without_telemetry()
        self.cache = Cache(Path(request.cache))
        self.failures: dict[str, LoweringFailure] = {}
        self._request, self._progress = request, progress
        self._formats = formats_of(request.formats)
        self._weights: dict[str, Entry] = {}
        self._points: dict[str, Entry] = {}
        self._artifacts: dict[str, Artifacts] = {}
        self._seconds: dict[str, float] = {}
        # As it is before any of it is imported: a launch that finds other code is not believed.
        self._written = {point.key: written_by(point, point.sources) for point in request.points}
        kind, pool = request.device_kind, request.pool
        self._total = len(steps_of(request.points, self._formats, platform=kind, pool=pool))
        self._costs = LoweringCosts(self.cache.root)
        self._attempts = Attempts(None if request.at is None else Path(request.at), request.died_of)

    def reference(self, points: list[Point]) -> None:
        """Inputs and references of points with the same weights, and these."""
        try:
            weights = self._obtain_weights(points[0])
        except Exception as error:  # noqa: BLE001 (a suite's code may raise anything; other models go on)
            for point in points:
                self._fail(point, error)
            return
        shared = main_source(points[0]).shared(weights)
        for point in points:
            started = time.perf_counter()
            try:
                made = self._point(point, weights, shared)
            except Exception as error:  # noqa: BLE001 (as above)
                self._fail(point, error)
                continue
            self._points[point.key] = made
            self._seconds[point.key] = time.perf_counter() - started
            self._report(self._references(point), not made.fresh, self._seconds[point.key])

    def make_formats(self, *, first: int, wait: bool) -> None:
        """The formats of each program of the points that have not failed, beginning with the `first`. Without `wait`,
        what another process is making is left to it."""
        programs = {
            self._shared_by(point, program): (program, point, role)
            for point in self._request.points
            if point.key not in self.failures
            for role, program in point.programs.items()
        }
        for shared, (program, point, role) in _from(first, list(programs.items())):
            weights = self._obtain_weights(point)[program.weights.key]
            kind, written = self._request.device_kind, written_by(point, (program.source,))
            found = Found(cache=self.cache, program=program, weights=weights, platform=kind, written=written)
            if shared not in self._artifacts:
                self._artifacts[shared] = Artifacts(found, self._attempts, self._samples(point, role))
            pool = self._request.pool
            steps = [
                format_step(point, program, form, kind, pool=pool, weights_key=weights.key, written=written)
                for form in self._formats
            ]
            self._artifacts[shared].make(steps, self._report, wait=wait)

    def _shared_by(self, point: Point, program: Program) -> str:
        """Whose artifacts a program has: its own at every point, but for those that are calibrated on a point."""
        return f"{program.key}/{point.key}" if any(map(calibrated, self._formats)) else program.key

    def _samples(self, point: Point, role: str) -> Samples | None:
        """What the program of a role is calibrated on; None where that was not made, or not by this process."""
        entry = self._points.get(point.key)
        return None if entry is None else samples_of(point, role, entry, self._weights)

    def finish(self, point: Point) -> LoweredPoint:
        """The formats of the point's programs, and all of it together."""
        started = time.perf_counter()
        artifacts = {role: self._artifacts[self._shared_by(point, each)] for role, each in point.programs.items()}
        programs = {role: each.lowered() for role, each in artifacts.items()}
        weights = {key: self._weights[key] for key in point.weights}
        entry, code = self._points[point.key], self._written[point.key].code
        pool, tolerances = read_point(entry)
        where = tokenizer(weights)
        return LoweredPoint(
            point=point,
            identity=Identity(
                definition=stable_hash(point),
                weights=_sha256(weights),
                inputs=entry.manifest.facts["inputs_sha256"],
                reference=entry.manifest.facts["reference_sha256"],
                code=stable_hash(code),
            ),
            programs=programs,
            pool=pool,
            tolerances=tolerances,
            tokenizer=None if where is None else str(where),
            seconds=self._seconds[point.key] + time.perf_counter() - started,
            code=code,
            reference_by=entry.manifest.facts.get("by", ""),
        )

    def _point(self, point: Point, weights: Mapping[str, Entry], shared: Any) -> Entry:
        count = self._request.pool

        def build(directory: Path) -> Mapping[str, Any]:
            return main_source(point).references(point, weights, shared, count, directory)

        written = self._written[point.key]
        step = self._references(point)
        with self._attempts.at(step):
            return self.cache.obtain(
                step.kind,
                step.key,
                label=f"{point.suite}: {point.title}",
                made_with=point_made_with(point, written),
                build=written.watched(build),
            )

    def _references(self, point: Point) -> Step:
        return references_step(point, self._request.pool, self._written[point.key])

    def _obtain_weights(self, point: Point) -> Mapping[str, Entry]:
        local = None if self._request.weights_dir is None else Path(self._request.weights_dir)
        for key, weights in point.weights.items():
            if key not in self._weights:
                started, step = time.perf_counter(), weights_step(point, weights)
                with self._attempts.at(step):
                    self._weights[key] = obtain_weights(self.cache, point, weights, local, step.label)
                self._report(step, not self._weights[key].fresh, time.perf_counter() - started)
        return {key: self._weights[key] for key in point.weights}

    def _fail(self, point: Point, error: Exception) -> None:
        if isinstance(error, Denied):  # not this point's fault: nothing can be lowered so
            raise error
        if not isinstance(error, SteelyardError):
            traceback.print_exception(error)  # to the log: the message alone does not tell where
        said = str(of_point(point, str(error)) if isinstance(error, SuiteError) else reason_of(error))
        self.failures[point.key] = LoweringFailure(
            point=point.key, title=point.title, error=type(error).__name__, reason=said
        )
        self._tell(self._references(point), f"{point.title}: failed: {said}", False, 0.0)

    def _report(self, step: Step, cached: bool, seconds: float, failed: str = "") -> None:
        if not cached and not failed:
            self._costs.add(step, seconds)
        self._tell(step, f"{step.label}: failed: {failed}" if failed else step.label, cached, seconds)

    def _tell(self, step: Step, label: str, cached: bool, seconds: float) -> None:
        self._progress(Progress(step=step.name, total=self._total, label=label, cached=cached, seconds=seconds))


def _weights(point: Point) -> tuple[str, ...]:
    return tuple(point.weights)


def _sha256(weights: Mapping[str, Entry]) -> str:
    """The identity of all sets of weights of a point: of one that of its tensors."""
    found = [each.manifest.facts["sha256"] for each in weights.values()]
    return str(found[0]) if len(found) == 1 else stable_hash(found)


def _from(first: int, entries: Sequence[_T]) -> list[_T]:
    """The entries in their order, beginning elsewhere."""
    start = first % len(entries) if entries else 0
    return [*entries[start:], *entries[:start]]
