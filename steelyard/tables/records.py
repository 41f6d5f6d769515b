"""A run as typed records: its cases with their numbers, and its launches on a time line, for exports to other tools.

A record carries what `compare` and `tables` computed, in base SI units. The control arm is a measurement of the
machine and no case; it stands on the time line only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from steelyard.core.backend import Budget, Device
from steelyard.core.case import Arm, Scenario
from steelyard.core.comparison import Comparison, Estimate, Interval
from steelyard.core.metrics import Direction
from steelyard.core.result import Status
from steelyard.core.run import LeftOut
from steelyard.core.workload import Json, Point
from steelyard.measure.driver import metric_of, metrics_of
from steelyard.tables.facts import Facts
from steelyard.tables.format import counted, plain
from steelyard.tables.timeline import Track, tracks

STATISTIC = "Hodges-Lehmann estimate over the medians of the launches"
THROUGHPUT = "throughput"
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One metric of one case over the launches of a run; without an `estimate` the `reason` says why.

    `metric` is a timed metric, `throughput`, a phase (`compile_s/warm`), a memory peak (`host_peak_bytes/steady`)
    or `energy_j`. `launches` are the single ones behind a timed metric or a throughput, by round; empty for the others.
    """

    metric: str
    unit: str
    direction: Direction
    estimate: Estimate | None
    reason: str = ""
    launches: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRecord:
    """One case: how it ended over all launches, its numbers, and its comparison with the baseline.

    `name` is readable, unique, and the same in every run of the same case: it ends with the beginning of the
    case's `id`, so that another definition or budget gives another name and thereby a history of its own.
    `values` with `speed` false hold no estimate: a wrong answer has no speed. `approximate` says in what it is no work
    equal to that of others, and is empty where it is.
    """

    id: str
    name: str
    suite: str
    workload: str
    point: str
    axes: Mapping[str, Json]
    dtype: str
    weights: str
    arm: str
    baseline: bool
    scenario: Scenario
    status: Status
    stage: str
    reason: str
    log_tail: str
    approximate: str
    launches: int
    launches_ok: int
    samples: int | None
    values: tuple[Value, ...]
    comparison: Comparison | None
    versions: Mapping[str, str]

    def value(self, metric: str) -> Value | None:
        """The value of a metric; None where the case has no such metric."""
        return next((value for value in self.values if value.metric == metric), None)

    @property
    def timed(self) -> tuple[Value, ...]:
        """The timed metrics: latency, and for what generates the first token and the time per token."""
        return tuple(value for value in self.values if value.unit == "s" and "/" not in value.metric)


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Everything that an export may say of a run."""

    run_id: str
    created_utc: str
    tool_version: str
    suite: str
    suite_version: int
    device: Device
    budget: Budget
    baseline: str
    grades: tuple[str, ...]
    environment: Mapping[str, str]
    cases: tuple[CaseRecord, ...]
    left_out: tuple[LeftOut, ...]
    tracks: tuple[Track, ...]


def records(facts: Facts) -> Records:
    """The records of a run, cases in printing order."""
    manifest = facts.run.manifest
    ids = {(case.point.key, case.backend.text): case for case in manifest.cases}
    found = []
    for point in facts.points:
        for arm in facts.arms:
            case = ids.get((point.key, arm.backend.text))
            if case is not None:
                found.append(_case(facts, arm, point, case.id, case.scenario))
    return Records(
        run_id=manifest.run_id,
        created_utc=manifest.created_utc,
        tool_version=manifest.tool_version,
        suite=manifest.suite,
        suite_version=manifest.suite_version,
        device=manifest.device,
        budget=manifest.budget,
        baseline=manifest.baseline,
        grades=tuple(sorted({segment.noise.grade for segment in facts.run.segments})),
        environment={str(name): plain(value) for name, value in sorted(manifest.environment.items())},
        cases=tuple(found),
        left_out=manifest.left_out,
        tracks=tracks(facts.run),
    )


def missing(cases: Sequence[CaseRecord], metric: str, total: int | None = None) -> str:
    """One line on the cases that have no value of a metric, with the first few reasons; empty where all have one."""
    lines = [
        f"{case.name} ({value.reason if value is not None else 'not measured'})"
        for case in cases
        if (value := case.value(metric)) is None or value.estimate is None
    ]
    if not lines:
        return ""
    more = f" and {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
    return f"left out, without {metric}: {len(lines)} of {counted(total or len(cases), 'case')}: " + (
        "; ".join(lines[:_NAMED]) + more
    )


def _case(facts: Facts, arm: Arm, point: Point, case_id: str, scenario: Scenario) -> CaseRecord:
    outcome = facts.outcome(arm, point)
    axes = ",".join(f"{name}={value}" for name, value in point.axes.items())
    device = facts.run.manifest.device.kind
    last = facts.last_ok(arm, point)
    summary = facts.summary(arm, point, "latency_s")
    programs = tuple(point.programs.values())
    return CaseRecord(
        id=case_id,
        name="/".join(filter(None, (point.suite, point.workload, axes, arm.label, f"{device}#{case_id[:8]}"))),
        suite=point.suite,
        workload=point.workload,
        point=facts.label(point),
        axes=dict(point.axes),
        dtype=" and ".join(sorted({program.dtype for program in programs})),
        weights=" and ".join(sorted({program.weights.origin for program in programs})),
        arm=arm.label,
        baseline=arm.label == facts.run.manifest.baseline,
        scenario=scenario,
        status=outcome.status,
        stage=outcome.stage,
        reason=outcome.reason,
        log_tail=outcome.log_tail,
        approximate=outcome.approximate,
        launches=outcome.launches,
        launches_ok=outcome.ok,
        samples=None if summary is None else summary.samples,
        values=tuple(_values(facts, arm, point)),
        comparison=facts.comparison(arm, point, "latency_s"),
        versions={} if last is None or last.proof is None else dict(last.proof.versions),
    )


def _values(facts: Facts, arm: Arm, point: Point) -> Iterator[Value]:
    outcome = facts.outcome(arm, point)
    why = outcome.remark
    for metric in metrics_of(point):
        estimate = facts.estimate(arm, point, metric) if outcome.speed else None
        medians = tuple(facts.launch_medians(arm, point, metric).values()) if estimate is not None else ()
        reason = "" if estimate is not None else why or facts.reason(arm, point, metric)
        yield Value(
            metric=metric,
            unit=metric_of(point, metric).unit,
            direction=metric_of(point, metric).direction,
            estimate=estimate,
            reason=reason,
            launches=medians,
        )
        if metric == "latency_s":
            yield Value(
                metric=THROUGHPUT,
                unit=f"{point.work.unit}/s",
                direction="higher",
                estimate=None if estimate is None else rate(point.work.items, estimate),
                reason=reason,
                launches=tuple(point.work.items / seconds for seconds in medians),
            )
    timed = metrics_of(point)
    for summary in facts.summaries_of(arm, point):
        if summary.metric in timed:
            continue
        yield Value(
            metric=summary.metric,
            unit=summary.unit,
            direction=metric_of(point, summary.metric).direction,
            estimate=summary.estimate if outcome.speed else None,
            reason=summary.reason or why,
        )


def rate(items: float, per_call: Estimate) -> Estimate:
    """Items per second from the seconds of a call, or per joule from its joules; the ends of the interval change
    places."""
    interval = per_call.interval
    turned = None
    if interval is not None and interval.low > 0:
        turned = Interval(low=items / interval.high, high=items / interval.low, confidence=interval.confidence)
    return Estimate(value=items / per_call.value, interval=turned, n=per_call.n, reason=per_call.reason)
