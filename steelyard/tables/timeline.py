"""The launches of a run on a time line: when each ran, and what it did in between.

Start and end of a launch are stored, on the monotonic clock of the supervisor, which begins anew with each segment.
Of what happens inside a launch the run stores durations. They are laid end to end in the order in which they
happened, so that the place of a phase is approximate and its length is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from steelyard.core.case import Case
from steelyard.core.result import LaunchRecord, Result
from steelyard.core.run import Run, Segment, launches_by_segment, segment_of
from steelyard.guard.speed import speed_hz

_PHASES = ("load_s", "compile_s", "first_run_s", "second_run_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time with what happened within it; seconds on the clock of the segment."""

    name: str
    start_s: float
    end_s: float
    facts: Mapping[str, str | int | float | None] = field(default_factory=dict)
    parts: tuple["Span", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One segment on its own clock: its rounds, and the launches of each arm (label -> spans).

    `contaminated` says of rounds what touched them.
    """

    name: str
    started_utc: str
    rounds: tuple[Span, ...]
    arms: Mapping[str, tuple[Span, ...]]
    contaminated: Mapping[int, str] = field(default_factory=dict)


def tracks(run: Run) -> tuple[Track, ...]:
    """The segments that have launches, in order."""
    cases = {case.id: case for case in run.manifest.cases}
    results: dict[str, list[Result]] = {}
    for result in run.results:
        results.setdefault(result.launch, []).append(result)
    parts = launches_by_segment(run.launches)
    segments = run.segments if len(parts) == len(run.segments) else [segment_of(run, part) for part in parts]
    return tuple(_track(run, segment, part, results, cases) for segment, part in zip(segments, parts, strict=True))


def _track(
    run: Run,
    segment: Segment | None,
    launches: Sequence[LaunchRecord],
    results: Mapping[str, list[Result]],
    cases: Mapping[str, Case],
) -> Track:
    rounds: dict[int, list[LaunchRecord]] = {}
    for launch in launches:
        rounds.setdefault(launch.round, []).append(launch)
    contaminated = {} if segment is None else {n: told for n, told in segment.disturbed.items() if n in rounds}
    spans = tuple(
        Span(
            name=f"round {number}"
            + (" (cold)" if number == 0 else "")
            + (" (contaminated)" if number in contaminated else ""),
            start_s=min(launch.started_s for launch in members),
            end_s=max(launch.ended_s for launch in members),
            facts={
                "round": number,
                "whole": str(_whole(segment, number)),
                "contaminated": contaminated.get(number, ""),
            },
        )
        for number, members in rounds.items()
    )
    arms: dict[str, list[Span]] = {arm.label: [] for arm in run.manifest.arms}
    for launch in launches:
        arms.setdefault(launch.arm, []).append(_launch(launch, results.get(launch.launch, []), cases))
    return Track(
        name="a segment without a whole round" if segment is None else f"segment {segment.index}",
        started_utc="" if segment is None else segment.started_utc,
        rounds=spans,
        arms={label: tuple(members) for label, members in arms.items() if members},
        contaminated=contaminated,
    )


def _whole(segment: Segment | None, number: int) -> bool:
    return segment is not None and number in segment.rounds


def _launch(launch: LaunchRecord, results: Sequence[Result], cases: Mapping[str, Case]) -> Span:
    parts: list[Span] = []
    clock = launch.started_s
    imported = next((result.phases["import_s"] for result in results if "import_s" in result.phases), None)
    if imported is not None:  # once in a launch, though each of its results carries it
        parts.append(Span(name="import", start_s=clock, end_s=clock + imported))
        clock += imported
    for result in results:
        case = _case(result, cases, clock)
        if case is not None:
            parts.append(case)
            clock = case.end_s
    return Span(
        name=f"{launch.arm}, round {launch.round}",
        start_s=launch.started_s,
        end_s=launch.ended_s,
        facts={
            "launch": launch.launch,
            "round": launch.round,
            "group": launch.group,
            "position": launch.position,
            "exit_code": launch.exit_code,
            "supervisor_cpu_s": launch.supervisor_cpu_s,
            "spin_hz": speed_hz(launch.noise),
        },
        parts=tuple(parts),
    )


def _case(result: Result, cases: Mapping[str, Case], start_s: float) -> Span | None:
    """What a launch did for one case; None where it did nothing that takes time."""
    parts: list[Span] = []
    clock = start_s
    for phase in _PHASES:
        if phase in result.phases:
            parts.append(Span(name=phase.removesuffix("_s"), start_s=clock, end_s=clock + result.phases[phase]))
            clock += result.phases[phase]
    window = result.measurement("latency_s")
    if window is not None and len(window.samples):
        length = float(window.starts_s[-1]) + float(window.samples[-1])  # starts are counted from the window's
        facts: dict[str, str | int | float | None] = {
            "samples": len(window.samples),
            "cut": window.cut,
            "steady": window.steady,
            "stop": window.stop,
        }
        begun_s = clock if window.begun_s is None else window.begun_s  # of a window in turns that is known
        parts.append(Span(name="timed window", start_s=begun_s, end_s=begun_s + length, facts=facts))
        clock = begun_s + length
    if not parts:
        return None
    case = cases.get(result.case_id)
    return Span(
        name=result.case_id if case is None else case.point.title,
        start_s=start_s,
        end_s=clock,
        facts={"case": result.case_id, "status": result.status, "stage": result.stage, "reason": result.reason},
        parts=tuple(parts),
    )
