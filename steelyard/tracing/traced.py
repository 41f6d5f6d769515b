"""A traced run, read: what every launch recorded, in numbers per call and classes of operators, and what it cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from statistics import mean, median

from steelyard.core.case import Case
from steelyard.core.details import TraceFacts
from steelyard.core.errors import StoreError
from steelyard.core.folders import TRACES
from steelyard.core.result import Result
from steelyard.core.run import Run
from steelyard.core.trace import KernelTime, Recording, TraceSummary
from steelyard.measure import trace_file
from steelyard.tracing.classes import CLASSES, IDLE, OVERHEAD, UNKNOWN, class_of

TOLERABLE = 1.1
"""Up to so much longer, or shorter, may calls take with the profiler for absolute times to be told."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedCase:
    """A backend at a configuration. `facts` has an entry for each launch that ended well. Of those that did not,
    `failed` of them, `status` and `reason` are of the last."""

    arm: str
    case: Case
    facts: tuple[TraceFacts, ...]
    status: str = "ok"
    reason: str = ""
    failed: int = 0

    @property
    def overhead_ratio(self) -> float:
        """The median over the launches."""
        return median(each.overhead_ratio for each in self.facts)

    @property
    def in_seconds(self) -> bool:
        """Whether absolute times may be told: calls with the profiler took as long as those without."""
        return bool(self.facts) and 1 / TOLERABLE <= self.overhead_ratio <= TOLERABLE

    @property
    def call_s(self) -> float:
        """Seconds of a call with the profiler, the mean over the launches."""
        return mean(each.summary.call_s for each in self.facts)

    @property
    def by_class(self) -> Mapping[str, float]:
        """Seconds of each class in a call, in the order of CLASSES, means over the launches; they add up to a call."""
        found = [by_class(each.summary) for each in self.facts]
        return {name: mean(each.get(name, 0.0) for each in found) for name in CLASSES if any(name in f for f in found)}

    @property
    def coverage(self) -> float:
        """The part of a call that kernels account for, without overhead and what nothing was recorded of."""
        found = self.by_class
        return 1 - (found.get(OVERHEAD, 0.0) + found.get(IDLE, 0.0)) / self.call_s

    @property
    def kernels(self) -> tuple[KernelTime, ...]:
        """The kernels of the first launch, the longest first: another launch may name its kernels otherwise."""
        return tuple(sorted(self.facts[0].summary.kernels, key=lambda each: -each.seconds)) if self.facts else ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """Operators of no known class, those that take longest first."""
        kinds = (each.kernel.kind for each in self.kernels if class_of(each.kernel) == UNKNOWN)
        return tuple(dict.fromkeys(kinds))


def by_class(summary: TraceSummary) -> Mapping[str, float]:
    """Seconds of each class in a call; they add up to the call."""
    found = dict.fromkeys(CLASSES, 0.0)
    for each in summary.kernels:
        found[class_of(each.kernel)] += each.seconds
    found[IDLE] = unrecorded_s(summary)
    return {name: seconds for name, seconds in found.items() if seconds}


def unrecorded_s(summary: TraceSummary) -> float:
    """Seconds of a call of which nothing was recorded; 0 where kernels and wrappers are all of it but for rounding."""
    left_s = summary.call_s - sum(each.seconds for each in summary.kernels)
    return left_s if abs(left_s) > _ROUNDING * summary.call_s else 0.0


def traced_cases(run: Run) -> tuple[TracedCase, ...]:
    """Every case of a traced run, by configurations and then backends in their order."""
    cases = {case.id: case for case in run.manifest.cases}
    found: dict[tuple[str, str], list[Result]] = {}
    for result in run.results:
        found.setdefault((result.arm, result.case_id), []).append(result)
    arms, points = [arm.label for arm in run.manifest.arms], [case.point.key for case in cases.values()]
    ordered = sorted(found, key=lambda each: (points.index(cases[each[1]].point.key), arms.index(each[0])))
    return tuple(_traced(arm, cases[case_id], found[arm, case_id]) for arm, case_id in ordered)


def recordings(run: Run, folder: Path) -> Iterator[tuple[str, Recording]]:
    """The recording of the last launch of every case of a run that is stored at `folder`, under backend and
    configuration. Raises StoreError for a file that is not there, or is not the one that its launch wrote."""
    cases = {case.id: case for case in run.manifest.cases}
    last = {(each.arm, each.case_id): found for each in run.results if (found := _good(each)) is not None}
    for (arm, case_id), facts in last.items():
        if PurePath(facts.file).name != facts.file:
            raise StoreError(f"{folder}: a result names a recording outside of its folder: {facts.file!r}")
        recording = trace_file.read(folder / TRACES / facts.file, facts.sha256)
        yield f"{arm}: {cases[case_id].point.title}", recording


def _traced(arm: str, case: Case, results: Sequence[Result]) -> TracedCase:
    failed = [each for each in results if _good(each) is None]
    return TracedCase(
        arm=arm,
        case=case,
        facts=tuple(found for each in results if (found := _good(each)) is not None),
        failed=len(failed),
        status=failed[-1].status if failed else "ok",
        reason=failed[-1].reason if failed else "",
    )


def _good(result: Result) -> TraceFacts | None:
    """What a launch recorded, if it ended as it should."""
    return result.details.trace if result.status == "ok" else None
