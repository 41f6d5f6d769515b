"""One speed-up for each backend over all workload points of a run."""

from steelyard.tables import provenance
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT, TIMES, counted
from steelyard.tables.overall import approximations, left_out
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

_NAMED = 12
"""So many points are named of those that were completed."""


_COLUMNS = (
    Column(key="backend", title="Backend"),
    Column(key="speedup", title="Speed-up", kind="number", unit="1", shown=TIMES),
    Column(key="points", title="Configurations", kind="integer"),
    Column(key="rounds", title="Rounds", kind="integer"),
)


def overall_table(facts: Facts) -> Table | None:
    """The geometric mean of the speed-ups of each backend over the points that all completed.

    None for a run of one point, where there is nothing to take a mean of.
    """
    if not facts.overall:
        return None
    if all(item.ratio is None for item in facts.overall):
        reasons = dict.fromkeys(item.reason for item in facts.overall)
        apart = dict.fromkeys(entry for item in facts.overall for entry in left_out(item.left_out))
        return Table(
            name="overall",
            title="Speed-up over all workloads",
            caption="",
            columns=_COLUMNS,
            rows=(),
            empty="; ".join(
                [f"no mean: {'; '.join(reasons)}", *(f"left out: {points} ({told})" for points, told in apart)]
            ),
        )
    foot = Footnotes()
    rows = []
    for item in facts.overall:
        times = item.ratio and item.ratio.inverse
        if times is None:
            why = [foot.mark(item.reason)]
            numbers = (Cell(text=ABSENT, notes=tuple(why)), Cell(text=ABSENT), Cell(text=ABSENT))
        else:
            why = [foot.mark(f"no interval: {times.reason}")] if times.interval is None else []
            why += [foot.mark(text) for text in approximations(facts, item.approximate)]
            numbers = (
                Cell(value=times.value, interval=times.interval, notes=tuple(why)),
                Cell(value=len(item.points)),
                Cell(value=item.rounds),
            )
        rows.append(Row(cells=(Cell(text=item.arm), *numbers), tags={"arm": item.arm}))
    found = next((item for item in facts.overall if item.points), facts.overall[0])
    names = [facts.label(point) for point in facts.points if point.key in found.points]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    notes = [f"The same configurations for every backend: {', '.join(names[:_NAMED])}{more}."]
    if not names:
        notes = ["No configuration was completed by all backends."]
    notes += [f"Left out: {points} ({reason})." for points, reason in left_out(found.left_out)]
    intervals = [item.ratio.interval for item in facts.overall if item.ratio is not None and item.ratio.interval]
    level = f"{provenance.levels(intervals)} for configurations and rounds like these, from resampling both"
    return Table(
        name="overall",
        title="Speed-up over all workloads",
        caption=f"Geometric mean over {counted(len(found.points), 'configuration')} of the speed-up of one call over "
        f"{facts.run.manifest.baseline}, above 1 is faster. Each configuration counts once, by its Hodges-Lehmann "
        f"estimate from paired rounds; {level if intervals else 'no intervals'}. The mean belongs to no family and "
        f"carries no verdict. {_rounds(facts)} per backend.",
        columns=_COLUMNS,
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=tuple(notes),
        conditions=provenance.conditions(facts),
    )


def _rounds(facts: Facts) -> str:
    counts = [item.rounds for item in facts.overall if item.rounds]
    return f"n ≥ {counted(min(counts), 'launch', 'launches')}" if counts else "no launch gave a number"


SECTION = Section(name="overall", tables={200: overall_table})
