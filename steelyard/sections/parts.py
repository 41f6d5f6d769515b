"""The timed parts of calls beside their speed-up: of an answer the first token and the time per token."""

from collections.abc import Iterator

from steelyard import plugins
from steelyard.core.metrics import Metric
from steelyard.measure.driver import Parts
from steelyard.tables import provenance
from steelyard.tables.cells import tags, timed
from steelyard.tables.facts import Facts
from steelyard.tables.format import TIMES
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table


def parts_tables(facts: Facts) -> tuple[Table, ...]:
    """A table for each driver of the run that times parts of its calls."""
    used = dict.fromkeys(point.driver for point in facts.points)
    drivers = {name: plugins.driver(name) for name in used}
    return tuple(_table(facts, name, driver.parts) for name, driver in drivers.items() if driver.parts)


def _table(facts: Facts, driver: str, parts: Parts) -> Table:
    points = tuple(point for point in facts.points if point.driver == driver)
    several = len(points) > 1
    columns = (
        *((Column(key="point", title="Workload"),) if several else ()),
        Column(key="backend", title="Backend"),
        *(column for metric in parts.metrics for column in _columns(metric)),
    )
    foot = Footnotes()
    rows, estimates = [], []
    for point in points:
        for arm in facts.arms:
            outcome = facts.outcome(arm, point)
            marks = provenance.remarks(facts, arm, point, foot)
            cells: list[Cell] = []
            for metric in parts.metrics:
                estimate = facts.estimate(arm, point, metric.name)
                estimates.append(estimate)
                if not outcome.speed or estimate is None:
                    told = f"{arm.label}: {facts.reason(arm, point, metric.name)}"
                    reason = marks if outcome.status != "ok" else (*marks, foot.mark(told))
                    cells += [Cell(text="–", notes=reason), Cell(text="–")]
                    continue
                comparison = facts.comparison(arm, point, metric.name)
                times = None if comparison is None else comparison.speedup
                cells.append(timed(estimate, foot, notes=marks))
                if times is None:
                    cells.append(Cell(text="1 (baseline)" if arm.label == facts.run.manifest.baseline else "–"))
                else:
                    why = tuple(foot.mark(text) for text in comparison.remarks) if comparison is not None else ()
                    cells.append(Cell(value=times.value, interval=times.interval, notes=why))
            head = (Cell(text=facts.label(point)),) if several else ()
            rows.append(Row(cells=(*head, Cell(text=arm.label), *cells), tags=tags(facts, arm, point)))
    what = f"{parts.caption}; speed-up over {facts.run.manifest.baseline}, above 1 is faster; exploratory."
    return Table(
        name=parts.name,
        title=parts.title,
        caption=provenance.caption(facts, points, what, estimates),
        columns=columns,
        rows=tuple(rows),
        footnotes=foot.all(),
        conditions=provenance.conditions(facts),
    )


def _columns(metric: Metric) -> Iterator[Column]:
    yield Column(key=metric.name, title=metric.title, kind="number", unit=metric.unit, shown="ms")
    about = f"Speed-up, {metric.title[:1].lower()}{metric.title[1:]}"
    yield Column(key=f"{metric.name.removesuffix('_s')}_speedup", title=about, kind="number", unit="1", shown=TIMES)


SECTION = Section(name="parts", tables={300: parts_tables})
