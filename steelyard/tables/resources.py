"""Energy, with the reason where the machine does not tell."""

from steelyard.tables import provenance
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT
from steelyard.tables.speed import tags, timed
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table


def energy_table(facts: Facts) -> Table:
    """Energy of one call, or the reason why there is none."""
    # The cold round has no timed window, so that it tells nothing of the meter.
    readings = [result.energy for result in facts.run.results if result.energy is not None and result.round > 0]
    known = [reading for reading in readings if reading.value is not None]
    columns = (
        Column(key="point", title="Workload"),
        Column(key="backend", title="Backend"),
        Column(key="energy_j", title="Energy of a call", kind="number", unit="J", shown="J"),
        Column(key="method", title="Method", wide=True),
    )
    rows, estimates = [], []
    foot = Footnotes()
    for point in facts.points if known else ():
        for arm in facts.arms:
            estimate = facts.estimate(arm, point, "energy_j")
            estimates.append(estimate)
            result = facts.last_ok(arm, point)
            reading = None if result is None else result.energy
            if estimate is None:
                reason = facts.reason(arm, point, "energy_j")
                cell = Cell(text=ABSENT, notes=(foot.mark(f"{arm.label}: {reason}"),))
            else:
                cell = timed(estimate, foot)
            method = "" if reading is None else reading.method
            rows.append(
                Row(
                    cells=(Cell(text=facts.label(point)), Cell(text=arm.label), cell, Cell(text=method)),
                    tags=tags(facts, arm, point),
                )
            )
    reasons = sorted({reading.reason for reading in readings if reading.value is None})
    return Table(
        name="energy",
        title="Energy",
        caption=provenance.caption(facts, facts.points, "Energy of one call, by a meter.", estimates) if rows else "",
        columns=columns,
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=provenance.notes(facts) if rows else (),
        empty=f"Energy was not measured: {'; '.join(reasons) or 'no launch read a meter'}",
    )
