"""Points to lowered points: weights, then inputs and references, then formats; everything once, through the cache.

References of all models come first and formats afterwards, so that no float64 copy of a model is held
while it is exported, and eager's errors are taken before a converter changes the process.
"""

import time
import traceback
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from steelyard.core.errors import Denied, SteelyardError, SuiteError
from steelyard.core.hashing import stable_hash
from steelyard.core.lowered import LoweredPoint, LoweredProgram
from steelyard.core.points import of_point
from steelyard.core.reason import reason_of
from steelyard.core.workload import Identity, Point, Program
from steelyard.lowering.artifacts import lower_program
from steelyard.lowering.cache import Cache
from steelyard.lowering.cached import Entry
from steelyard.lowering.declared import check_forward
from steelyard.lowering.format import EAGER_FORMAT, split
from steelyard.lowering.references import make_pool, point_key, point_made_with, read_point, write_point
from steelyard.lowering.request import LoweringFailure, LoweringRequest, LoweringResponse, Progress
from steelyard.lowering.source import build_with, load_weights
from steelyard.lowering.weights import FILE, obtain_weights, tokenizer
from steelyard.lowering.written import written_by


def lower(request: LoweringRequest, progress: Callable[[Progress], None]) -> LoweringResponse:
    """Lower every point of the request. A point that fails is in the response's `failures`; others go on.

    Raises UsageError for an unknown format and for a cache that cannot be used, Denied if it is closed to this user.
    """
    formats = sorted({form for form in request.formats if form != EAGER_FORMAT}, key=_order)
    job = _Job(request, formats, progress)
    with job.cache.lease():
        for _, points in groupby(sorted(request.points, key=_model), key=_model):
            job.reference(list(points))
        done = tuple(job.finish(point) for point in request.points if point.key not in job.failures)
    return LoweringResponse(points=done, failures=tuple(job.failures.values()))


class _Job:
    """One request under way."""

    def __init__(self, request: LoweringRequest, formats: list[str], progress: Callable[[Progress], None]) -> None:
        self.cache = Cache(Path(request.cache))
        self.failures: dict[str, LoweringFailure] = {}
        self._request, self._formats, self._progress = request, formats, progress
        self._weights: dict[str, Entry] = {}
        self._points: dict[str, Entry] = {}
        self._programs: dict[str, LoweredProgram] = {}
        self._seconds: dict[str, float] = {}
        # As it is before any of it is imported: a launch that finds other code is not believed.
        self._written = {point.key: written_by(point, point.sources) for point in request.points}
        programs = {program.key for point in request.points for program in point.programs.values()}
        models = {_model(point) for point in request.points}
        self._total = len(models) + len(request.points) + len(programs) * len(formats)
        self._done = 0

    def reference(self, points: list[Point]) -> None:
        """Weights, inputs and references of the points of one model."""
        started = time.perf_counter()
        weights = next(iter(points[0].programs.values())).weights
        local = None if self._request.weights_dir is None else Path(self._request.weights_dir)
        label = f"{points[0].axes.get('model', points[0].suite)}"
        try:
            entry = obtain_weights(self.cache, points[0], weights, local, label)
        except Exception as error:  # noqa: BLE001 (a suite's code may raise anything; other models go on)
            for point in points:
                self._fail(point, error)
            return
        self._weights[weights.key] = entry
        self._report(f"weights of {label}", not entry.fresh, time.perf_counter() - started)
        shared = _Shared(entry)
        for point in points:
            started = time.perf_counter()
            try:
                made = self._point(point, entry, shared)
            except Exception as error:  # noqa: BLE001 (as above)
                self._fail(point, error)
                continue
            self._points[point.key] = made
            self._seconds[point.key] = time.perf_counter() - started
            self._report(f"inputs and references of {point.title}", not made.fresh, self._seconds[point.key])

    def finish(self, point: Point) -> LoweredPoint:
        """The formats of the point's programs, and all of it together."""
        started = time.perf_counter()
        programs = {role: self._program(point, program) for role, program in point.programs.items()}
        weights = self._weights[_model(point)]
        entry, code = self._points[point.key], self._written[point.key].code
        pool, tolerances = read_point(entry)
        where = tokenizer(weights)
        return LoweredPoint(
            point=point,
            identity=Identity(
                definition=stable_hash(point),
                weights=weights.manifest.facts["sha256"],
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
        )

    def _point(self, point: Point, weights: Entry, shared: "_Shared") -> Entry:
        count = self._request.pool
        models = {program.weights.key for program in point.programs.values()}
        if len(models) != 1:
            raise SuiteError(f"its programs have {len(models)} sets of weights; a point has one")

        def build(directory: Path) -> Mapping[str, Any]:
            check_forward(point, shared.modules(point))
            pool = make_pool(point, shared.exact(), shared.exact_modules, tokenizer(weights), count)
            return write_point(point, pool, shared.modules(point), directory)

        written = self._written[point.key]
        return self.cache.obtain(
            "points",
            point_key(point, count, written),
            label=f"{point.suite}: {point.title}",
            made_with=point_made_with(written),
            build=written.watched(build),
        )

    def _program(self, point: Point, program: Program) -> LoweredProgram:
        if program.key not in self._programs:
            self._programs[program.key] = lower_program(
                self.cache,
                program,
                self._weights[program.weights.key],
                self._formats,
                self._request.device_kind,
                written_by(point, (program.source,)),
                self._report,
            )
        return self._programs[program.key]

    def _fail(self, point: Point, error: Exception) -> None:
        if isinstance(error, Denied):  # not this point's fault: nothing can be lowered so
            raise error
        if not isinstance(error, SteelyardError):
            traceback.print_exception(error)  # to the log: the message alone does not tell where
        said = str(of_point(point, str(error)) if isinstance(error, SuiteError) else reason_of(error))
        self.failures[point.key] = LoweringFailure(
            point=point.key, title=point.title, error=type(error).__name__, reason=said
        )
        self._report(f"{point.title}: failed: {said}", False, 0.0)

    def _report(self, label: str, cached: bool, seconds: float) -> None:
        self._done += 1
        self._progress(
            Progress(done=min(self._done, self._total), total=self._total, label=label, cached=cached, seconds=seconds)
        )


class _Shared:
    """What the points of one model have in common while their references are made: weights and modules."""

    def __init__(self, weights: Entry) -> None:
        self._file = weights.path / FILE
        self._exact: dict[str, Any] = {}
        self._own: dict[str, Any] = {}
        self._own_modules: dict[str, Any] = {}
        self.exact_modules: dict[str, Any] = {}

    def exact(self) -> Mapping[str, Any]:
        """The weights in float64."""
        if not self._exact:
            self._exact = load_weights(self._file, dtype="float64")
        return self._exact

    def modules(self, point: Point) -> Mapping[str, Any]:
        """The point's programs by role, in their own dtype, on memory-mapped weights."""
        if not self._own:
            self._own = load_weights(self._file)
        for program in point.programs.values():
            if program.key not in self._own_modules:
                self._own_modules[program.key] = build_with(program, self._own, in_place=False, where=str(self._file))
        return {role: self._own_modules[program.key] for role, program in point.programs.items()}


def _model(point: Point) -> str:
    return next(iter(point.programs.values())).weights.key


def _order(form: str) -> tuple[bool, str]:
    """StableHLO last: its converter registers a device with torch, which stays for the rest of the process."""
    return split(form)[0] == "stablehlo", form
