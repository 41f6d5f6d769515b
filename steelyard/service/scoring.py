"""Kernels of a package scored: right at shapes that were drawn for this score, then timed at the suite's own.

Generated kernels are judged so by KernelBench (arXiv 2502.10517): one that does not build, is wrong at any shape or
crashes has failed, however fast it is. The shapes are drawn when the score begins, so that no kernel can have been made
for them; each is a multiple of the suite's smallest, which keeps what a workload asks of its extents.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from steelyard import plugins
from steelyard.analysis import compare_run
from steelyard.analysis.scores import share
from steelyard.core.comparison import Comparison, Estimate
from steelyard.core.errors import SuiteError, UsageError
from steelyard.core.result import Result
from steelyard.core.run import Run
from steelyard.core.workload import Point, Selection, Suite
from steelyard.engine.plan import Request, make_plan
from steelyard.lowering.points import points_of
from steelyard.service.running import Outcome, StoredOutcome, announce, run_plan
from steelyard.service.screen import Screen
from steelyard.store import open_run

_FACTORS = range(1, 8)
_DRAWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A kernel: at how many of the hidden shapes it was right, and the first thing that was wrong, if anything was.

    `comparison` is that with the baseline at the suite's own shape; None of a kernel that was not timed.
    """

    workload: str
    right: int
    shapes: int
    fault: str = ""
    comparison: Comparison | None = None

    @property
    def speedup(self) -> Estimate | None:
        """Against the baseline; None of a kernel that failed."""
        return None if self.fault or self.comparison is None else self.comparison.speedup


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The kernels of a package and the runs that say it; `outcome` is that of the run which ended the score."""

    backend: str
    baseline: str
    seed: int
    kernels: tuple[Scored, ...]
    runs: tuple[Path, ...]
    outcome: Outcome

    def fast(self, p: float) -> Estimate | None:
        """fast_p: the share of all kernels that are right and more than `p` times as fast as the baseline, with the
        interval of Clopper and Pearson. With `p` 0 it is the share of those that are right and have a time."""
        speedups = [kernel.speedup.value for kernel in self.kernels if kernel.speedup is not None]
        return share(sum(value > p for value in speedups), len(self.kernels))


def package_of(folder: Path) -> str:
    """The name by which Python imports a folder below the working directory. Raises UsageError where it has none."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: name one that holds a module for each kernel, as softmax.py")
    place, here = folder.resolve(), Path.cwd().resolve()
    parts = place.relative_to(here).parts if place.is_relative_to(here) else ()
    if not parts or not all(part.isidentifier() for part in parts):
        raise UsageError(
            f"{folder} cannot be imported from here: start from the folder above it, and give it a name that Python "
            "can import, of letters, digits and _"
        )
    return ".".join(parts)


def kernels_in(folder: Path, suite: Suite) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The workloads that have a module in a folder, in the suite's order, and modules that are no workload. Raises
    UsageError where there is no kernel."""
    names = sorted(file.stem for file in folder.glob("*.py") if file.stem != "__init__")
    found = tuple(workload for workload in suite.workloads if workload in names)
    if not found:
        raise UsageError(
            f"{folder} has no kernel: a module has the name of a workload of the suite {suite.name}, as "
            f"{suite.headline}.py; bench list workloads has them all"
        )
    return found, tuple(name for name in names if name not in found)


def hidden_points(suite: Suite, workload: str, count: int, draw: random.Random, selection: Selection) -> list[Point]:
    """A workload at `count` different shapes, none of them a size of the suite. Raises UsageError where it has not so
    many."""
    alone = replace(selection, size=None, workloads=(workload,), exclude=(), axes={})
    usual = [point for size in suite.sizes for point in points_of(suite, replace(alone, size=size))]
    known = [_extents(point) for point in usual]
    found: dict[str, Point] = {}
    for _ in range(_DRAWS):
        axes = {name: (str(value * draw.choice(_FACTORS)),) for name, value in known[0].items()}
        try:
            points = points_of(suite, replace(alone, size=suite.sizes[0], axes=axes))
        except (UsageError, SuiteError):  # a shape that the workload does not have
            continue
        found |= {point.key: point for point in points if _extents(point) not in known}
        if len(found) >= count:
            return list(found.values())[:count]
    raise UsageError(f"suite {suite.name}: {workload} has no {count} other shapes: ask for fewer with --hidden")


def score(
    folder: Path, request: Request, output: Path, screen: Screen, *, hidden: int, say: Callable[[str], None]
) -> Scores:
    """Run every kernel at its hidden shapes, several launches at a time, then time the right ones beside the baseline.

    `request` says how they are timed; its seed draws the shapes. Raises SteelyardError for what cannot be measured. A
    kernel that fails is no error.
    """
    backend, suite = f"kernel:{package_of(folder)}", plugins.suite(request.suite)
    workloads, others = kernels_in(folder, suite)
    if others:
        say(f"left out: {', '.join(others)}: no workload of the suite {suite.name}")
    draw = random.Random(request.seed)  # noqa: S311 (shapes, not secrets)
    points = [point for name in workloads for point in hidden_points(suite, name, hidden, draw, request.selection)]
    tried = replace(request, backends=(backend,), scenario="correctness", rounds=None, quick=False, time_s=None)
    # The shapes of a kernel share a launch, and no two kernels do.
    plan = replace(make_plan(tried, tuple(points)), together=hidden)
    checked = run_plan(plan, output, screen, started_s=time.monotonic())
    kernels = [_right(name, open_run(checked.path), hidden) for name in workloads]
    runs = [checked]
    right = tuple(kernel.workload for kernel in kernels if not kernel.fault)
    if right and checked.outcome != "interrupted":
        runs.append(_timed(request, backend, right, output, screen, say))
        kernels = list(_compared(kernels, open_run(runs[-1].path), backend))
    return Scores(
        backend=backend,
        baseline=request.baseline,
        seed=request.seed,
        kernels=tuple(kernels),
        runs=tuple(run.path for run in runs),
        outcome="interrupted" if runs[-1].outcome == "interrupted" else "sound",
    )


def _extents(point: Point) -> Mapping[str, int]:
    return {name: value for name, value in point.axes.items() if isinstance(value, int)}


def _timed(
    request: Request, backend: str, workloads: tuple[str, ...], output: Path, screen: Screen, say: Callable[[str], None]
) -> StoredOutcome:
    selection = replace(request.selection, workloads=workloads, exclude=())
    begun = time.monotonic()
    plan = make_plan(replace(request, backends=(request.baseline, backend), selection=selection))
    for line in announce(plan, output):
        say(line)
    return run_plan(plan, output, screen, started_s=begun)


def _right(workload: str, run: Run, shapes: int) -> Scored:
    """What became of a kernel at its hidden shapes."""
    results = [result for result in run.results if run.case(result.case_id).point.workload == workload]
    wrong = [result for result in results if result.status != "ok"]
    fault = _told(run, wrong) if wrong else "" if len(results) == shapes else "it was not run at every shape"
    return Scored(workload=workload, right=len(results) - len(wrong), shapes=shapes, fault=fault)


def _told(run: Run, wrong: Sequence[Result]) -> str:
    """The first that is a fault of its own: what a launch never reached says nothing."""
    result = next((each for each in wrong if each.status != "skipped"), wrong[0])
    axes = ", ".join(f"{name}={value}" for name, value in _extents(run.case(result.case_id).point).items())
    return f"{result.status.replace('_', ' ')} at {axes}: {result.reason}"


def _compared(kernels: Sequence[Scored], run: Run, backend: str) -> Iterator[Scored]:
    """The kernels with the comparison of the timed run; one that failed there has failed."""
    found = {
        each.workload: each for each in compare_run(run) if each.metric == "latency_s" and each.candidate == backend
    }
    for kernel in kernels:
        bad = [
            result
            for result in run.results
            if result.arm == backend
            and run.case(result.case_id).point.workload == kernel.workload
            and result.status not in ("ok", "skipped")
        ]
        if kernel.fault or not bad:
            yield replace(kernel, comparison=found.get(kernel.workload))
        else:
            yield replace(kernel, fault=_told(run, bad))
