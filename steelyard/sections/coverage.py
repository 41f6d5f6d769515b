"""Every backend at every point: how it ended, and what was left out before it began."""

from steelyard.tables.cells import tags
from steelyard.tables.facts import Facts
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table


def coverage_table(facts: Facts) -> Table:
    """A row per backend and point: worst status, launches that ended ok, stage and reason."""
    foot = Footnotes()
    rows = []
    for point in facts.points:
        for arm in facts.arms:
            outcome = facts.outcome(arm, point)
            ok = outcome.status == "ok"
            reason = outcome.approximate if ok else outcome.reason or "no reason was recorded"
            words = "" if ok else outcome.last_words
            marks = (foot.mark(f"Log of {arm.label}, {facts.label(point)}: {words}"),) if words else ()
            cells = (
                Cell(text=facts.label(point)),
                Cell(text=arm.label),
                Cell(text=outcome.status.replace("_", " "), flags=() if ok else ("failed",), notes=marks),
                Cell(value=outcome.ok),
                Cell(value=outcome.launches),
                Cell(text="" if ok else outcome.stage),
                Cell(text=reason),
            )
            rows.append(Row(cells=cells, tags=tags(facts, arm, point)))
    for entry in facts.run.manifest.left_out:
        found = next((item for item in facts.points if entry.point in (item.key, item.title)), None)
        label = entry.point or "all" if found is None else facts.label(found)
        cells = (
            Cell(text=label),
            Cell(text=entry.backend),
            Cell(text=entry.status, flags=("failed",)),
            Cell(value=0),
            Cell(value=0),
            Cell(text="lower" if entry.status == "suite error" else "plan"),
            Cell(text=entry.reason),
        )
        workload = entry.point if found is None else found.workload
        about = {"arm": entry.backend, "point": label if workload else "", "status": entry.status}
        rows.append(Row(cells=cells, tags=about | {"workload": workload}))
    return Table(
        name="coverage",
        title="Coverage",
        caption="How every backend ended on every workload over all launches, the cold one included, and why.",
        columns=(
            Column(key="point", title="Workload"),
            Column(key="backend", title="Backend"),
            Column(key="status", title="Status"),
            Column(key="ok", title="Ok", kind="integer"),
            Column(key="launches", title="Launches", kind="integer"),
            Column(key="stage", title="Stage"),
            Column(key="reason", title="Reason", wide=True),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        place="detail",
        empty="nothing was planned",
    )


SECTION = Section(name="coverage", tables={1000: coverage_table})
