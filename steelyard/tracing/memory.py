"""What values of a traced run's programs need of memory: plans beside what no plan can go below."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.across.sides import common, short
from steelyard.core.case import Case
from steelyard.core.memory_profile import MemoryFacts, MemoryProfile
from steelyard.core.metrics import Reading
from steelyard.core.run import Run
from steelyard.tables.format import ABSENT
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

_MOST_VALUES = 6
OVER_TIME = "memory-over-time"
"""The table that a figure draws."""
METHOD = (
    "Intermediate values are what an operator makes and another reads, without inputs and outputs of the call. Each "
    "apart is what they need where none shares a place with another; the lower bound is the largest set of them that "
    "waits for an operator between two others, in the order in which the runtime executes them, and reached is the "
    "peak of what the runtime plans or allocates for them.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """What the first launch of a backend tells of a case."""

    arm: str
    case: Case
    facts: MemoryFacts

    @property
    def tags(self) -> dict[str, str]:
        """What a row of it is about."""
        return {"arm": self.arm, "point": self.case.point.title, "workload": self.case.point.workload}


def needed(run: Run) -> tuple[Needed, ...]:
    """What a run tells, by configurations and backends in their order."""
    cases = {case.id: case for case in run.manifest.cases}
    found: dict[tuple[str, str], MemoryFacts] = {}
    for result in run.results:
        if result.details.memory is not None:
            found.setdefault((result.case_id, result.arm), result.details.memory)
    arms, points = [arm.label for arm in run.manifest.arms], [case.point.key for case in cases.values()]
    ordered = sorted(found, key=lambda key: (points.index(cases[key[0]].point.key), arms.index(key[1])))
    return tuple(Needed(arm=arm, case=cases[case_id], facts=found[case_id, arm]) for case_id, arm in ordered)


def tables(found: Sequence[Needed]) -> tuple[Table, ...]:
    """The tables of plans, of the largest values and of what is held in the course of a call."""
    labels, shared = short({each.case.point.title: each.case.point for each in found})
    return _plans(found, labels, shared), _largest(found, labels, shared), _over_time(found, labels, shared)


def _plans(found: Sequence[Needed], labels: Mapping[str, str], shared: str) -> Table:
    foot, rows = Footnotes(), []
    for each in found:
        head = (Cell(text=labels[each.case.point.title]), Cell(text=each.arm))
        told = each.facts.told
        if told is None:
            why = (foot.mark(f"{each.arm}: {each.facts.reason}"),)
            rows.append(Row(cells=(*head, *(Cell(text=ABSENT, notes=why),) * 8), tags=each.tags))
            continue
        marks = tuple(foot.mark(f"{each.arm}: {text}") for text in told.remarks)
        cells = (
            *head,
            _bytes(each, told.weights, foot),
            Cell(value=told.inputs, notes=marks),
            Cell(value=told.outputs),
            _bytes(each, told.each_apart, foot),
            _bytes(each, told.least, foot),
            _bytes(each, told.reached, foot),
            _over_least(each, told, foot),
            _bytes(each, told.workspace, foot),
        )
        rows.append(Row(cells=cells, tags=each.tags))
    return Table(
        name="memory-plans",
        title="Memory of values",
        caption="What a call needs: weights, inputs and outputs by their shapes, and intermediate values, each apart, "
        f"at least, and as the runtime plans or allocates them. {common(shared)}",
        columns=(
            Column(key="point", title="Workload", wide=True),
            Column(key="backend", title="Backend"),
            Column(key="weights", title="Weights", kind="number", unit="B", shown="MiB"),
            Column(key="inputs", title="Inputs", kind="number", unit="B", shown="MiB"),
            Column(key="outputs", title="Outputs", kind="number", unit="B", shown="MiB"),
            Column(key="each_apart", title="Each apart", kind="number", unit="B", shown="MiB"),
            Column(key="least", title="Lower bound", kind="number", unit="B", shown="MiB"),
            Column(key="reached", title="Reached", kind="number", unit="B", shown="MiB"),
            Column(key="over_least", title="Reached / bound", kind="number", unit="×"),
            Column(key="workspace", title="Workspace", kind="number", unit="B", shown="MiB"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        empty="no launch told of memory",
    )


def _bytes(each: Needed, reading: Reading, foot: Footnotes) -> Cell:
    if reading.value is None:
        return Cell(text=ABSENT, notes=(foot.mark(f"{each.arm}: {reading.reason}"),))
    return Cell(value=reading.value)


def _over_least(each: Needed, told: MemoryProfile, foot: Footnotes) -> Cell:
    if told.reached.value is not None and told.least.value:
        return Cell(value=told.reached.value / told.least.value)
    reason = told.least.reason or told.reached.reason or "there is no intermediate value"
    return Cell(text=ABSENT, notes=(foot.mark(f"{each.arm}: {reason}"),))


def _largest(found: Sequence[Needed], labels: Mapping[str, str], shared: str) -> Table:
    rows = []
    for each in found:
        for value in each.facts.told.largest[:_MOST_VALUES] if each.facts.told else ():
            cells = (
                Cell(text=labels[each.case.point.title]),
                Cell(text=each.arm),
                Cell(text=value.name),
                Cell(text=value.operator),
                Cell(value=value.bytes),
            )
            rows.append(Row(cells=cells, tags=each.tags))
    return Table(
        name="largest-values",
        title="Largest values",
        caption=f"The {_MOST_VALUES} intermediate values of each backend that are largest, under its own names. "
        f"{common(shared)}",
        columns=(
            Column(key="point", title="Workload", wide=True),
            Column(key="backend", title="Backend"),
            Column(key="value", title="Value", kind="code", wide=True),
            Column(key="operator", title="Operator", kind="code", wide=True),
            Column(key="bytes", title="Size", kind="number", unit="B", shown="KiB"),
        ),
        rows=tuple(rows),
        place="detail",
        empty="no launch told of values",
    )


def _over_time(found: Sequence[Needed], labels: Mapping[str, str], shared: str) -> Table:
    rows = []
    for each in found:
        sizes = each.facts.told.over_time if each.facts.told else ()
        for place, size in enumerate(sizes):
            part = 100 * place / len(sizes)
            head = (Cell(text=labels[each.case.point.title]), Cell(text=each.arm))
            rows.append(Row(cells=(*head, Cell(value=part), Cell(value=size)), tags=each.tags))
    return Table(
        name=OVER_TIME,
        title="Memory in the course of a call",
        caption="What intermediate values hold, along the operators of a call in the order of their execution, from "
        "the first that makes one to the last that reads one; of PyTorch, change by change of its allocator. "
        f"{common(shared)}",
        columns=(
            Column(key="point", title="Workload", wide=True),
            Column(key="backend", title="Backend"),
            Column(key="part", title="From", kind="number", unit="%"),
            Column(key="held", title="Held", kind="number", unit="B", shown="MiB"),
        ),
        rows=tuple(rows),
        place="data",
        empty="no launch told of values in their order",
    )
