"""The start-up table: import, load, compile cold and warm, first and second run, and after how many calls it pays."""

import math
from collections.abc import Sequence

from steelyard.core.case import Arm
from steelyard.core.comparison import Estimate
from steelyard.core.workload import Point
from steelyard.tables import provenance
from steelyard.tables.cells import tags, timed
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT
from steelyard.tables.provenance import sizes
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

Phases = tuple[tuple[str, str, str], ...]
"""Metric, state and title of each."""

_PHASES: Phases = (
    ("import_s", "warm", "Import"),
    ("load_s", "warm", "Load"),
    ("compile_s", "cold", "Compile, cold"),
    ("compile_s", "warm", "Compile, warm"),
    ("first_run_s", "warm", "First run"),
    ("second_run_s", "warm", "Second run"),
)
_COLD_PHASES: Phases = (
    ("import_s", "cold", "Import"),
    ("load_s", "cold", "Load"),
    ("compile_s", "cold", "Compile"),
    ("first_run_s", "cold", "First run"),
    ("second_run_s", "cold", "Second run"),
)
"""Of a run of the scenario cold-start, in which no launch finds anything in a cache."""


def startup_table(facts: Facts) -> Table:
    """A row per backend and point whose case ran first in its launches: only there the phases belong to it alone."""
    foot = Footnotes()
    rows = []
    estimates: dict[str, list[Estimate | None]] = {"cold": [], "warm": []}
    phases = _COLD_PHASES if facts.always_cold else _PHASES
    measured = [point for point in facts.points if any(_any_phase(facts, arm, point, phases) for arm in facts.arms)]
    several = len(facts.points) > 1
    columns = (
        *((Column(key="point", title="Workload"),) if several else ()),
        Column(key="backend", title="Backend"),
        *(
            Column(key=f"{metric}_{state}", title=title, kind="number", unit="s", shown="s")
            for metric, state, title in phases
        ),
        Column(key="break_even_cold", title="Break-even, cold", kind="integer", unit="calls"),
        Column(key="break_even_warm", title="Break-even, warm", kind="integer", unit="calls"),
    )
    for point in measured:
        for arm in facts.arms:
            marks = provenance.remarks(facts, arm, point, foot)
            cells = []
            for metric, state, _ in phases:
                estimate = facts.phase(arm, point, metric, state)
                estimates[state].append(estimate)
                cells.append(_phase_cell(facts, arm, point, metric, state, estimate, foot))
            cells += [_calls(facts, arm, point, state, foot) for state in ("cold", "warm")]
            head = (Cell(text=facts.label(point)),) if several else ()
            name = Cell(text=arm.label, notes=marks)
            rows.append(Row(cells=(*head, name, *cells), tags=tags(facts, arm, point)))
    shown = estimates["cold" if facts.always_cold else "warm"]
    states = "Every launch began with empty compile caches" if facts.always_cold else _states(estimates["cold"])
    what = (
        f"Phases of a launch in seconds, apart from each other. {states}. "
        "Break-even: calls after which the backend has made good its longer start "
        f"against {facts.run.manifest.baseline}: (difference of compile and first run) / (difference of latency)."
    )
    return Table(
        name="startup",
        title="Start-up and compilation",
        caption=provenance.caption(facts, measured, what, shown) if measured else "",
        columns=columns,
        rows=tuple(rows),
        footnotes=foot.all(),
        conditions=provenance.conditions(facts),
        empty="no launch came as far as compiling",
        basis=provenance.basis(shown),
    )


def _states(cold: Sequence[Estimate | None]) -> str:
    """What cold and warm mean in this run: each of its segments has a cold round."""
    once = all(estimate is None or estimate.n == 1 for estimate in cold)
    launches = "one launch (round 0, n = 1, no interval)" if once else f"round 0 of each segment ({sizes(cold)})"
    return f"Cold: empty compile caches, {launches}; warm: later rounds"


def _any_phase(facts: Facts, arm: Arm, point: Point, phases: Phases) -> bool:
    return any(facts.phase(arm, point, metric, state) is not None for metric, state, _ in phases)


def _phase_cell(
    facts: Facts, arm: Arm, point: Point, metric: str, state: str, estimate: Estimate | None, foot: Footnotes
) -> Cell:
    if estimate is None:
        return Cell(text=ABSENT, notes=(foot.mark(facts.reason(arm, point, f"{metric}/{state}")),))
    if state == "cold" and estimate.n == 1:  # the caption says so
        return Cell(value=estimate.value)
    return timed(estimate, foot)


def _calls(facts: Facts, arm: Arm, point: Point, state: str, foot: Footnotes) -> Cell:
    if arm.label == facts.run.manifest.baseline:
        return Cell(text="baseline")
    calls, reason = facts.break_even(arm, point, state)
    if calls is None:
        return Cell(text=ABSENT, notes=(foot.mark(reason),))
    return Cell(value=math.ceil(calls))


SECTION = Section(name="startup", tables={400: startup_table})
