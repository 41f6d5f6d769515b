"""Which backend for what: at how many configurations each is the best by latency, memory, compile time and error.

Nobody is called the best on less than the report says elsewhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from steelyard.core.case import Arm
from steelyard.core.comparison import Estimate
from steelyard.core.workload import Point
from steelyard.tables import provenance
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Row, Table
from steelyard.tables.winners import trusted, winners

Best = tuple[str, ...]
"""The labels of the best at a configuration: one, or several that cannot be told apart; none where nobody can be."""

_ON_CPU = ("host_peak_bytes",)
_ON_DEVICE = ("device_peak_bytes", "allocator_peak_bytes")
"""What memory is compared by: the first that all have."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a row asks, and how it is answered at one configuration; None where fewer than two backends can be."""

    title: str
    rule: str
    best: Callable[[Facts, Point], Best | None]


def choice_table(facts: Facts) -> Table | None:
    """A row for each question that the run can answer; None where only one backend ran."""
    if len(facts.arms) < 2:
        return None
    rows, rules = [], []
    for question in QUESTIONS:
        answers = [answer for point in facts.points if (answer := question.best(facts, point)) is not None]
        if not answers:
            continue
        alone = {arm.label: sum(answer == (arm.label,) for answer in answers) for arm in facts.arms}
        tied = {arm.label: sum(arm.label in answer and len(answer) > 1 for answer in answers) for arm in facts.arms}
        nobody = sum(not answer for answer in answers)
        cells = (Cell(text=_told(alone[arm.label], tied[arm.label])) for arm in facts.arms)
        rows.append(Row(cells=(Cell(text=question.title), *cells, Cell(value=nobody), Cell(value=len(answers)))))
        rules.append(f"{question.title}: {question.rule}.")
    latencies = [facts.median(arm, point, "latency_s") for arm in facts.arms for point in facts.points]
    return Table(
        name="choice",
        title="Which backend for what",
        caption=provenance.caption(
            facts,
            facts.points,
            "At how many configurations each backend is the best of those that ran there; +n: and at n more together "
            "with others from which it cannot be told apart. None: where nobody can be called the best.",
            latencies,
        ),
        columns=(
            Column(key="question", title="Least"),
            *(Column(key=f"arm_{place}", title=arm.label) for place, arm in enumerate(facts.arms)),
            Column(key="nobody", title="None", kind="integer"),
            Column(key="points", title="Of", kind="integer"),
        ),
        rows=tuple(rows),
        notes=tuple(rules),
        conditions=provenance.conditions(facts),
        place="detail",
        empty="at no configuration two backends can be compared",
    )


def _told(alone: int, tied: int) -> str:
    if not alone and not tied:
        return ABSENT
    return f"{alone} +{tied}" if tied else f"{alone}"


def _compared(facts: Facts, point: Point) -> list[Arm]:
    """The arms that may be called the best somewhere: those with a speed, and that of equal work."""
    outcomes = ((arm, facts.outcome(arm, point)) for arm in facts.arms)
    return [arm for arm, outcome in outcomes if outcome.speed and not outcome.approximate]


def _by_latency(facts: Facts, point: Point) -> Best | None:
    timed = [arm for arm in _compared(facts, point) if facts.median(arm, point, "latency_s") is not None]
    if len(timed) < 2:
        return None
    found = trusted(facts, point, winners(facts, point))
    return () if found is None else found[1]


def _least(found: Mapping[str, Estimate | None]) -> Best | None:
    """Those with the least of a number: one, where its interval lies below those of all others. None where not all have
    an interval."""
    intervals = {label: estimate.interval for label, estimate in found.items() if estimate and estimate.interval}
    if len(intervals) < max(2, len(found)):
        return None
    reach = intervals[min(intervals, key=lambda label: intervals[label].high)].high
    return tuple(label for label, interval in intervals.items() if interval.low <= reach)


def _by_memory(facts: Facts, point: Point) -> Best | None:
    """The highest peak of any phase, on the device where that has memory of its own: of the first quantity that all
    have, so that like is compared with like."""
    for metric in _ON_CPU if facts.run.manifest.device.kind == "cpu" else _ON_DEVICE:
        peaks = {arm.label: _peak(facts, arm, point, metric) for arm in _compared(facts, point)}
        if (best := _least(peaks)) is not None:
            return best
    return None


def _peak(facts: Facts, arm: Arm, point: Point, metric: str) -> Estimate | None:
    keys = {key for result in facts.results(arm, point) for key in result.memory if key.startswith(f"{metric}/")}
    peaks = [peak for key in sorted(keys) if (peak := facts.memory(arm, point, key)) is not None]
    return max(peaks, key=lambda peak: peak.value, default=None)


def _by_compile_time(facts: Facts, point: Point) -> Best | None:
    """With empty caches in a run of cold starts, else with full ones."""
    state = "cold" if facts.always_cold else "warm"
    return _least({arm.label: facts.phase(arm, point, "compile_s", state) for arm in _compared(facts, point)})


def _by_error(facts: Facts, point: Point) -> Best | None:
    """The largest share of its tolerance that any output of any checked call used up. What was seen, no estimate."""
    worst: dict[str, float] = {}
    for arm in _compared(facts, point):
        checks = [result.correctness for result in facts.results(arm, point) if result.correctness is not None]
        if shares := [output.share for check in checks for output in check.outputs]:
            worst[arm.label] = max(shares)
    if len(worst) < 2:
        return None
    return tuple(label for label, share in worst.items() if share == min(worst.values()))


QUESTIONS = (
    Question("Latency", "by the rule for bold numbers in the speed tables, which asks for verdicts", _by_latency),
    Question("Peak memory", "the highest of all phases, where intervals do not overlap", _by_memory),
    Question("Compile time", "where intervals do not overlap; with full caches but for cold starts", _by_compile_time),
    Question("Error", "the part of its tolerance that the worst output of all checked calls used", _by_error),
)


SECTION = Section(name="choice", tables={190: choice_table})
