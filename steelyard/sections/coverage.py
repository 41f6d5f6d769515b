"""Every backend at every point: how it ended, and what was left out before it began."""

import re

from steelyard.stats.quantile import clopper_pearson
from steelyard.tables.cells import tags
from steelyard.tables.facts import Facts
from steelyard.tables.overall import LEAST_POINTS
from steelyard.tables.passes import statuses_by_arm
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

_NAMED = 3
"""So many configurations of a cause are named."""


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


def passes_table(facts: Facts) -> Table | None:
    """How many configurations each backend got right; None of a timed run of few configurations."""
    if not facts.run.untimed and len(facts.points) < LEAST_POINTS:
        return None
    found = statuses_by_arm(facts)
    kinds = [name for name in dict.fromkeys(name for each in found.values() for name in sorted(each)) if name != "ok"]
    rows = []
    for label, statuses in found.items():
        right, total = statuses["ok"], statuses.total()
        share = Cell(value=right / total, interval=clopper_pearson(right, total))
        cells = (Cell(text=label), Cell(value=total), Cell(value=right), share)
        rows.append(Row(cells=(*cells, *(Cell(value=statuses[kind]) for kind in kinds)), tags={"arm": label}))
    return Table(
        name="passes",
        title="Pass rates",
        caption="At how many configurations each backend gave right answers in all launches, as a share with its 95 % "
        "Clopper-Pearson interval for configurations like these, and how the others ended.",
        columns=(
            Column(key="backend", title="Backend"),
            Column(key="total", title="Configurations", kind="integer"),
            Column(key="right", title="Right", kind="integer"),
            Column(key="share", title="Share", kind="number", unit="1", shown="%"),
            *(Column(key=kind, title=kind.replace("_", " ").capitalize(), kind="integer") for kind in kinds),
        ),
        rows=tuple(rows),
        place="main" if facts.run.untimed else "detail",
    )


def causes_table(facts: Facts) -> Table | None:
    """Failures of each backend by cause; None where nothing failed, and of a timed run of few configurations."""
    if not facts.run.untimed and len(facts.points) < LEAST_POINTS:
        return None
    found: dict[tuple[str, str, str, str], list[tuple[str, str]]] = {}
    for arm in facts.arms:
        for point in facts.points:
            outcome = facts.outcome(arm, point)
            if outcome.status != "ok":
                key = (arm.label, outcome.status, outcome.stage, _cause(outcome.reason))
                found.setdefault(key, []).append((facts.label(point), outcome.reason))
    if not found:
        return None
    rows = []
    for (label, status, stage, _), failed in sorted(found.items(), key=lambda item: -len(item[1])):
        names = ", ".join(name for name, _ in failed[:_NAMED])
        more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        cells = (
            Cell(text=label),
            Cell(text=status.replace("_", " ")),
            Cell(text=stage),
            Cell(value=len(failed)),
            Cell(text=failed[0][1] or "no reason was recorded"),
            Cell(text=f"{names}{more}"),
        )
        rows.append(Row(cells=cells, tags={"arm": label, "status": status}))
    return Table(
        name="causes",
        title="Failures by cause",
        caption="Configurations that a backend failed, together where the reasons differ in names and numbers alone; "
        "the reason is that of the first.",
        columns=(
            Column(key="backend", title="Backend"),
            Column(key="status", title="Status"),
            Column(key="stage", title="Stage"),
            Column(key="count", title="Configurations", kind="integer"),
            Column(key="reason", title="Reason", wide=True),
            Column(key="where", title="Where", wide=True),
        ),
        rows=tuple(rows),
        place="detail",
    )


def _cause(reason: str) -> str:
    """A reason without what is particular to a model: quoted words, names with digits or dots in them, numbers."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|\S*[\d_.%]\S*", "…", reason)


SECTION = Section(name="coverage", tables={50: passes_table, 990: causes_table, 1000: coverage_table})
