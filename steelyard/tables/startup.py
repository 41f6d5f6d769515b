"""The start-up table: import, load, compile cold and warm, first and second run, and after how many calls it pays."""

import math

from steelyard.core.case import Arm
from steelyard.core.comparison import Estimate
from steelyard.core.workload import Point
from steelyard.tables import provenance
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT
from steelyard.tables.speed import tags, timed
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

_PHASES = (
    ("import_s", "warm", "Import"),
    ("load_s", "warm", "Load"),
    ("compile_s", "cold", "Compile, cold"),
    ("compile_s", "warm", "Compile, warm"),
    ("first_run_s", "warm", "First run"),
    ("second_run_s", "warm", "Second run"),
)


def startup_table(facts: Facts) -> Table:
    """A row per backend and point whose case ran first in its launches: only there the phases belong to it alone."""
    foot = Footnotes()
    rows, estimates = [], []
    measured = [point for point in facts.points if any(_any_phase(facts, arm, point) for arm in facts.arms)]
    several = len(facts.points) > 1
    columns = (
        *((Column(key="point", title="Workload"),) if several else ()),
        Column(key="backend", title="Backend"),
        *(
            Column(key=f"{metric}_{state}", title=title, kind="number", unit="s", shown="s")
            for metric, state, title in _PHASES
        ),
        Column(key="break_even_cold", title="Break-even, cold", kind="integer", unit="calls"),
        Column(key="break_even_warm", title="Break-even, warm", kind="integer", unit="calls"),
    )
    for point in measured:
        for arm in facts.arms:
            outcome = facts.outcome(arm, point)
            marks = () if outcome.status == "ok" else (foot.mark(f"{arm.label}: {outcome.remark}"),)
            cells = []
            for metric, state, _ in _PHASES:
                estimate = facts.phase(arm, point, metric, state)
                estimates.append(estimate if state == "warm" else None)
                cells.append(_phase_cell(facts, arm, point, metric, state, estimate, foot))
            cells += [_calls(facts, arm, point, state, foot) for state in ("cold", "warm")]
            head = (Cell(text=facts.label(point)),) if several else ()
            name = Cell(text=arm.label, notes=marks)
            rows.append(Row(cells=(*head, name, *cells), tags=tags(facts, arm, point)))
    what = (
        "Phases of a launch in seconds, apart from each other. Cold: empty compile caches, one launch (round 0, n = 1, "
        f"no interval); warm: later rounds. Break-even: calls after which the backend has made good its longer start "
        f"against {facts.run.manifest.baseline}: (difference of compile and first run) / (difference of latency)."
    )
    return Table(
        name="startup",
        title="Start-up and compilation",
        caption=provenance.caption(facts, measured, what, estimates) if measured else "",
        columns=columns,
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=provenance.notes(facts),
        empty="no launch came as far as compiling",
        basis=provenance.basis(estimates),
    )


def _any_phase(facts: Facts, arm: Arm, point: Point) -> bool:
    return any(facts.phase(arm, point, metric, state) is not None for metric, state, _ in _PHASES)


def _phase_cell(
    facts: Facts, arm: Arm, point: Point, metric: str, state: str, estimate: Estimate | None, foot: Footnotes
) -> Cell:
    if estimate is None:
        return Cell(text=ABSENT, notes=(foot.mark(facts.reason(arm, point, f"{metric}/{state}")),))
    if state == "cold":
        return Cell(value=estimate.value)
    return timed(estimate, foot)


def _calls(facts: Facts, arm: Arm, point: Point, state: str, foot: Footnotes) -> Cell:
    if arm.label == facts.run.manifest.baseline:
        return Cell(text="baseline")
    calls, reason = facts.break_even(arm, point, state)
    if calls is None:
        return Cell(text=ABSENT, notes=(foot.mark(reason),))
    return Cell(value=math.ceil(calls))
