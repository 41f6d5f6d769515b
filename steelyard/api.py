"""Runs from Python: `import steelyard as sy`.

    run = sy.run(suite="llm", backends=["eager", "onnxruntime"], size="tiny", time="5m")
    print(run.summary)
    run.compare().to_pandas()
    run.to_pandas("launches").groupby("backend").latency_s.median()
    run.report(directory="report")
    print(sy.profile(suite="vision", workloads="resnet50", size="tiny").summary)

Arguments have the names and meanings of the options of `bench run`. What `bench` measures, stores and refuses is the
same here; errors are `steelyard.SteelyardError`.
"""

import time as clock
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from steelyard.analysis import other_pairs, turned
from steelyard.core import run as stored
from steelyard.core.comparison import Comparison
from steelyard.core.errors import UsageError, unknown_name
from steelyard.core.folders import RUNS
from steelyard.core.quantity import seconds_of
from steelyard.engine.plan import make_plan
from steelyard.service import comparing, frames, reporting, running
from steelyard.service.asked import SUITE, LaunchOptions, RunOptions, request_of
from steelyard.service.screen import Screen
from steelyard.service.traced_runs import traced_request
from steelyard.store import find_run, open_run
from steelyard.tables.facts import gather
from steelyard.tables.going_on import how_to_go_on
from steelyard.tables.words import what_it_says
from steelyard.tracing.report import build_traced

if TYPE_CHECKING:
    from pandas import DataFrame


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while a run was measured. `run` holds what was measured until then; `run.resume()` goes on."""

    def __init__(self, run: "Run") -> None:
        super().__init__(f"{run.id}: interrupted; what was measured is kept, and Run.resume goes on")
        self.run = run


class Comparisons(tuple[Comparison, ...]):
    """Comparisons with their verdicts, in the order of the run's cases."""

    __slots__ = ()

    def to_pandas(self) -> "DataFrame":
        """A row for each: what was compared, `speedup` (baseline / candidate, above 1 is faster) with its 95 %
        interval, `verdict`, and `reason` where there is none."""
        return frames.comparisons_frame(self)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A stored run: `path` is its folder, `data` all that was measured."""

    path: Path
    data: stored.Run

    @property
    def id(self) -> str:
        """The run's identifier."""
        return self.data.manifest.run_id

    @property
    def ended(self) -> str:
        """Why its last segment ended: `rounds`, `precision`, `time` or `interrupted`; empty for one cut off."""
        return self.data.segments[-1].ended if self.data.segments else ""

    @property
    def summary(self) -> str:
        """Who is faster than the baseline on the headline, by how much and how sure; and how to go on, where it fell
        short of its verdicts. Of a traced run where most of the time goes."""
        if self.data.traced:
            return " ".join(build_traced(self.data).headline)
        facts = gather(self.data)
        return " ".join(filter(None, (what_it_says(facts), how_to_go_on(facts))))

    def to_pandas(self, rows: Literal["samples", "launches"] = "samples") -> "DataFrame":
        """A tidy frame with a row for each sample, or for each case of each launch. Units are in the names: `_s`
        seconds, `_bytes`, `_j`; a sample's `value` is in the unit of its `metric`."""
        made = {"samples": frames.samples_frame, "launches": frames.launches_frame}
        if rows not in made:
            raise unknown_name("kind of rows", rows, made)
        return made[rows](self.data)

    def compare(self, baseline: str | None = None) -> Comparisons:
        """Every backend against the run's baseline, or against another of its backends, whose verdicts are
        exploratory. Raises UsageError for one that it does not have."""
        (own,) = comparing.comparisons([[self.data]])
        if baseline in (None, self.data.manifest.baseline):
            return Comparisons(own)
        arms = [arm.label for arm in self.data.manifest.arms if not arm.control]
        if baseline not in arms:
            raise unknown_name("backend of the run", str(baseline), arms)
        pairs = [*(item for item in own if item.factor != "control"), *other_pairs(self.data)]
        both = (item for pair in pairs for item in (pair, turned(pair)))
        return Comparisons(item for item in both if item.baseline == baseline)

    def report(self, formats: str | Sequence[str] = "all", directory: Path | str | None = None) -> Path:
        """Write the report, by default into `report/` in the run; returns its folder. Formats as of `bench report`.
        Raises SteelyardError for what could not be made; the rest is written."""
        chosen = [formats] if isinstance(formats, str) else list(formats)
        target = self.path / reporting.FOLDER if directory is None else Path(directory)
        reporting.write_run(self.data, chosen, target)
        return target

    def resume(self, *, time: str | None = None, rounds: int | None = None, progress: bool = True) -> "Run":
        """Measure more rounds of the same plan; returns the run with them. Raises Interrupted on Ctrl-C."""
        with Screen(silent=not progress) as screen:
            time_s = None if time is None else seconds_of(time)
            ended = running.resume_run(self.path.parent, str(self.path), screen, time_s=time_s, rounds=rounds)
        return _opened(ended)

    def __repr__(self) -> str:
        manifest = self.data.manifest
        arms = ", ".join(arm.label for arm in manifest.arms if not arm.control)
        return f"<steelyard run {self.id}: suite {manifest.suite} on {manifest.device.name}; {arms}>"


def run(
    suite: str = SUITE,
    backends: str | Sequence[str] = (),
    *,
    axes: Mapping[str, Any] | None = None,
    weights: Path | str | None = None,
    output: Path | str = RUNS,
    progress: bool = True,
    **options: Unpack[RunOptions],
) -> Run:
    """Measure a suite on backends, as `bench run` does, and return the stored run.

    `backends` are all that can run here unless some are named, or a `ladder` is: one text of backends in their order,
    `ladder="eager,inductor"`, or several. `axes` maps the name of an axis to a value or several (`--set`); further
    `options` are those of `bench run` with the same names, e.g. `size="tiny"`, `time="20m"`, `quick=True`,
    `baseline="eager"`, `threads=4`. `progress` shows the plan and a bar, in a notebook too.
    No report is written. Raises SteelyardError for what cannot be measured,
    TypeError for an option that there is not, and Interrupted on Ctrl-C.
    """
    given = {"suite": suite, "backends": backends, "axes": axes, "weights": weights, **options}
    return _launched("run", given, Path(output), progress=progress)


def profile(
    suite: str = SUITE,
    backends: str | Sequence[str] = (),
    *,
    launches: int = 1,
    axes: Mapping[str, Any] | None = None,
    weights: Path | str | None = None,
    output: Path | str = RUNS,
    progress: bool = True,
    **options: Unpack[LaunchOptions],
) -> Run:
    """Trace a suite on backends (all, unless some are named), as `bench profile` does, in `launches` of each, and
    return the stored run.

    Further `options` are those of `bench profile` with the same names; errors are as of `run`.
    """
    if unknown := sorted({*options} - {*LaunchOptions.__annotations__}):
        raise TypeError(f"profile() has no option '{unknown[0]}'")
    given = {"suite": suite, "backends": backends, "axes": axes, "weights": weights, **options}
    return _launched("profile", given, Path(output), progress=progress, traced=launches)


def open(name: Path | str = "latest", runs: Path | str = RUNS) -> Run:
    """A stored run: its path, its id, the beginning or end of the id, or `latest` of those under `runs`. Raises
    StoreError where there is none or it is damaged."""
    path = find_run(Path(runs), str(name))
    return Run(path, open_run(path))


def compare(baseline: Run | Iterable[Run], candidate: Run | Iterable[Run], factor: str | None = None) -> Comparisons:
    """Runs held against each other, several of one side as a list; faster and slower need at least three a side.

    The sides must differ in one thing, which is the factor; `factor` names it where they differ in several. Raises
    UsageError where they cannot be compared.
    """
    sides = [[side.data] if isinstance(side, Run) else [each.data for each in side] for side in (baseline, candidate)]
    if not all(sides):
        raise UsageError("a side without a run: give a run or a list of runs for each")
    return Comparisons(comparing.comparisons(sides, factor)[0])


def _launched(
    function: str, given: Mapping[str, Any], output: Path, *, progress: bool, traced: int | None = None
) -> Run:
    """The stored run of what a function was given; traced in so many launches of each backend, where that is asked."""
    started = clock.monotonic()
    weights = None if given["weights"] is None else Path(given["weights"])
    axes = {name: _several(values) for name, values in (given["axes"] or {}).items()}
    lists = {name: _several(given[name]) for name in ("backends", "ladder", "workloads", "exclude") if name in given}
    asked = {**given, **lists, "axes": axes, "weights": weights}
    plan = make_plan(
        request_of(**asked) if traced is None else traced_request(request_of(**asked, energy=False), traced)
    )
    files = {axis: [Path(one).name for one in of] if axis == "inputs" else of for axis, of in axes.items()}
    told = {**asked, "axes": files, "weights": None, "meter": None}  # folders are nobody's affair
    command = (f"steelyard.{function}({', '.join(f'{name}={value!r}' for name, value in told.items() if value)})",)
    with Screen(silent=not progress) as screen:
        for line in running.announce(plan, output):
            screen.line(line)
        ended = running.run_plan(plan, output, screen, weights=weights, started_s=started, command=command)
    return _opened(ended)


def _several(values: Any) -> tuple[str, ...]:
    return (str(values),) if isinstance(values, str | int | float | Path) else tuple(map(str, values))


def _opened(ended: running.StoredOutcome) -> Run:
    found = Run(ended.path, open_run(ended.path))
    if ended.outcome == "interrupted":
        raise Interrupted(found)
    return found
