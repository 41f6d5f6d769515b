"""The speed tables: latency, throughput, speed-up and verdict per workload."""

from collections.abc import Sequence

from steelyard.core.case import Arm
from steelyard.core.workload import Point
from steelyard.tables import provenance
from steelyard.tables.cells import tags, timed
from steelyard.tables.facts import Facts
from steelyard.tables.format import TIMES
from steelyard.tables.section import Section
from steelyard.tables.slug import slug
from steelyard.tables.table import Cell, Column, Flag, Footnotes, Row, Table
from steelyard.tables.winners import trusted, winners


def speed_tables(facts: Facts) -> tuple[Table, ...]:
    """One table a workload, the headline workload first; none of a run that timed nothing."""
    if facts.run.untimed:
        return ()
    tables, names = [], set()
    for workload in facts.workloads:
        name = f"speed-{slug(workload)}"
        while name in names:
            name += "-x"
        names.add(name)
        tables.append(_speed(facts, workload, name))
    return tuple(tables)


def _speed(facts: Facts, workload: str, name: str) -> Table:
    points = facts.at(workload)
    axes = facts.varying(points)
    unit = points[0].work.unit
    columns = (
        *(Column(key=f"axis_{axis}", title=axis) for axis in axes),
        Column(key="backend", title="Backend"),
        Column(key="latency_s", title="Latency", kind="number", unit="s", shown="ms"),
        Column(key="throughput", title="Throughput", kind="number", unit=f"{unit}/s"),
        Column(key="speedup", title="Speed-up", kind="number", unit="1", shown=TIMES),
        Column(key="verdict", title="Verdict"),
    )
    foot = Footnotes()
    rows, estimates, comparisons = [], [], []
    for point in points:
        bold = trusted(facts, point, winners(facts, point))
        for arm in facts.arms:
            estimates.append(facts.estimate(arm, point, "latency_s"))
            comparison = facts.comparison(arm, point, "latency_s")
            if comparison is not None:
                comparisons.append(comparison)
            rows.append(_speed_row(facts, arm, point, axes, bold, foot))
    marked: set[Flag] = {flag for row in rows for cell in row.cells for flag in cell.flags}
    remarks = [provenance.family(facts, comparisons)] if comparisons else []
    remarks += _bold_note(marked)
    ratios = [None if item.speedup is None else item.speedup.interval for item in comparisons]
    what = (
        f"Latency of one call of {workload}, inputs bound beforehand, every output complete; throughput in {unit} per "
        f"second; speed-up over {facts.run.manifest.baseline} from paired rounds, not the quotient of the medians "
        f"({provenance.levels(ratios)}), above 1 is faster."
    )
    return Table(
        name=name,
        title=f"Speed of {workload}",
        caption=provenance.caption(facts, points, what, estimates),
        columns=columns,
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=tuple(remarks),
        conditions=provenance.conditions(facts),
        empty="nothing was planned",
        basis=provenance.basis(estimates),
    )


def _speed_row(
    facts: Facts,
    arm: Arm,
    point: Point,
    axes: Sequence[str],
    bold: tuple[Flag, tuple[str, ...]] | None,
    foot: Footnotes,
) -> Row:
    outcome = facts.outcome(arm, point)
    comparison = facts.comparison(arm, point, "latency_s")
    estimate = facts.estimate(arm, point, "latency_s")
    baseline = arm.label == facts.run.manifest.baseline
    marks = provenance.remarks(facts, arm, point, foot)
    flags: tuple[Flag, ...] = ("baseline",) if baseline else ()
    if outcome.approximate:
        flags = (*flags, "approximate")
    doubt = facts.efficiency(arm, point).suspicious if outcome.speed else ""
    if doubt:
        flags = (*flags, "suspicious")
        marks = (*marks, foot.mark(f"{arm.label}: suspicious, {doubt}"))
    elif bold is not None and arm.label in bold[1]:
        flags = (*flags, bold[0])
    verdict: str = "baseline" if baseline else (comparison.verdict if comparison is not None else "")
    latency, throughput = Cell(text="–", notes=marks), Cell(text="–")
    if outcome.speed and estimate is not None:
        latency = timed(estimate, foot, flags=flags, notes=marks)
        throughput = Cell(value=point.work.items / estimate.value)
    else:
        verdict = outcome.status.replace("_", " ") if outcome.status != "ok" else "no number"
        if outcome.status == "ok":
            latency = Cell(text="–", notes=(foot.mark(f"{arm.label}: {facts.reason(arm, point, 'latency_s')}"),))
    times = comparison.speedup if comparison is not None and outcome.speed else None
    verdict_notes: tuple[str, ...] = ()
    if comparison is not None and outcome.speed:
        verdict_notes = tuple(foot.mark(text) for text in comparison.remarks)
    approximate = " (approximate)" if outcome.speed and outcome.approximate else ""
    verdict_flags: tuple[Flag, ...] = ()
    if verdict in ("withheld", "inconclusive", "incomparable"):
        verdict_flags = ("withheld",)
    elif not outcome.speed:
        verdict_flags = ("failed",)
    return Row(
        cells=(
            *(Cell(text=str(point.axes.get(axis, ""))) for axis in axes),
            Cell(text=arm.label, flags=flags),
            latency,
            throughput,
            Cell(text="1 (baseline)" if baseline and outcome.speed else "–")
            if times is None
            else Cell(value=times.value, interval=times.interval, flags=tuple(f for f in flags if f != "baseline")),
            Cell(text=(verdict or "not compared") + approximate, flags=verdict_flags, notes=verdict_notes),
        ),
        tags=tags(facts, arm, point) | {"verdict": verdict},
    )


def _bold_note(marked: set[Flag]) -> list[str]:
    notes = []
    aside = " What is approximate takes no part." if "approximate" in marked else ""
    if "best" in marked:
        notes.append("Bold: the fastest, its interval apart from all others." + aside)
    if "tied" in marked:
        notes.append("Bold on several: faster than the baseline, but their intervals overlap." + aside)
    return notes


SECTION = Section(name="speed", tables={100: speed_tables})
