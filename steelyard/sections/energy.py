"""Energy of a call: gross, above idle, of one item, against the baseline; or the reason why there is none."""

from collections.abc import Sequence

from steelyard.analysis.energy_comparisons import METRIC, compare_energy, estimates, net_joules, scaled
from steelyard.core.case import Arm
from steelyard.core.comparison import Comparison, Estimate
from steelyard.core.result import Result
from steelyard.core.workload import Point
from steelyard.tables import provenance
from steelyard.tables.cells import tags, timed
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT, TIMES, counted, without_code
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

_WORDS = {"faster": "less", "slower": "more"}
_TRACED = 8
"""Backends whose power is kept for the figure."""


def energy_table(facts: Facts) -> Table:
    """One row per backend and point where any was metered, or estimated if that was asked for."""
    results = [result for result in facts.run.results if result.round > 0]
    metered = any(result.energy is not None and result.energy.value is not None for result in results)
    modelled = any(result.energy_estimate is not None for result in results)
    columns = (
        Column(key="point", title="Workload"),
        Column(key="backend", title="Backend"),
        Column(key=METRIC, title="Energy of a call", kind="number", unit="J", shown="J"),
        Column(key="energy_net_j", title="Above idle", kind="number", unit="J", shown="J"),
        Column(key="energy_of_item_j", title="Of an item", kind="number", unit="J", shown="J"),
        Column(key="item", title="Item"),
        Column(key="energy_ratio", title="Over baseline", kind="number", unit="1", shown=TIMES),
        Column(key="verdict", title="Verdict"),
        *((Column(key="estimated_j", title="Estimated, not measured", kind="number", unit="J", shown="J"),)
          if modelled else ()),
        Column(key="method", title="Method", wide=True),
    )  # fmt: skip
    rows: list[Row] = []
    used: list[Estimate | None] = []
    foot = Footnotes()
    compared = {(item.candidate, item.point): item for item in compare_energy(facts.run, sides=facts.sides)}
    for point in facts.points if metered or modelled else ():
        for arm in facts.arms:
            comparison = compared.get((arm.label, point.key))
            cells = [
                *_joules(facts, arm, point, foot, used),
                Cell(text=point.work.unit.rstrip("s") or "item"),
                *_compared(facts, arm, comparison, foot, metered=used[-1] is not None),
            ]
            if modelled:
                cells.append(_cell(*estimates(facts.sides.side(arm, point.key)), arm, foot))
            cells.append(Cell(text=_method(facts, arm, point)))
            head = (Cell(text=facts.label(point)), Cell(text=arm.label))
            rows.append(Row(cells=(*head, *cells), tags=tags(facts, arm, point)))
    what = (
        "Energy of one call by a meter, in a window of its own after the timed one: all that lies within the meter's "
        "boundary, what exceeds the idle baselines before and after, and the share of one item. Ratios are paired by "
        "round, below 1 is less, and exploratory."
    )
    return Table(
        name="energy",
        title="Energy",
        caption=provenance.caption(facts, facts.points, what, used) if metered else _MODEL if modelled else "",
        columns=columns,
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=(*_remarks(facts), *((_MODEL,) if modelled and metered else ())) if rows else (),
        conditions=provenance.conditions(facts),
        empty=f"Energy: unavailable: {_why(results)}",
        basis=provenance.basis(used) if metered else "",
    )


def power_table(facts: Facts) -> Table:
    """Power over time, of the last launch of each backend at the first point that was traced: what a figure draws."""
    rows: list[Row] = []
    for point in facts.points:
        for arm in facts.arms[:_TRACED]:
            result = _traced(facts, arm, point)
            trace = None if result is None or result.energy_use is None else result.energy_use.trace
            if result is None or result.energy_use is None or trace is None:
                continue
            about = tags(facts, arm, point) | {"round": str(result.round), "boundary": result.energy_use.boundary}
            for begin, end, watts in zip(trace.times_s, trace.times_s[1:], trace.watts, strict=False):
                middle = (begin + end) / 2
                phase = "before" if middle < 0 else "after" if middle > result.energy_use.window_s else "calls"
                cells = (
                    Cell(text=arm.label),
                    Cell(value=begin),
                    Cell(value=end),
                    Cell(text=phase),
                    Cell(value=watts),
                )
                rows.append(Row(cells=cells, tags=about))
        if rows:
            break
    return Table(
        name="power",
        title="Power over time",
        caption="Mean power between two reads of the meter, of one launch of each backend; time from the first call.",
        columns=(
            Column(key="backend", title="Backend"),
            Column(key="begin_s", title="From", kind="number", unit="s"),
            Column(key="end_s", title="To", kind="number", unit="s"),
            Column(key="phase", title="Phase"),
            Column(key="watts", title="Power", kind="number", unit="W"),
        ),
        rows=tuple(rows),
        place="data",
        empty="no launch traced its power",
    )


_MODEL = (
    "Estimated: rated power of the package x share of its CPU time. It is no measurement, is not compared, and can "
    "be wrong by a factor."
)


def _joules(facts: Facts, arm: Arm, point: Point, foot: Footnotes, used: list[Estimate | None]) -> list[Cell]:
    """Gross, net and of one item. A wrong answer has no energy."""
    outcome = facts.outcome(arm, point)
    gross = facts.estimate(arm, point, METRIC)
    reason = facts.reason(arm, point, METRIC) if gross is None else ""
    if outcome.status != "ok" and (gross is None or not outcome.speed):
        gross, reason = None, outcome.remark
    used.append(gross)
    if gross is None:
        return [_cell(None, reason, arm, foot) for _ in range(3)]
    net, why = net_joules(facts.sides.side(arm, point.key))
    return [timed(gross, foot), _cell(net, why, arm, foot), timed(scaled(gross, 1 / point.work.items), foot)]


def _compared(
    facts: Facts, arm: Arm, comparison: Comparison | None, foot: Footnotes, *, metered: bool
) -> tuple[Cell, Cell]:
    if arm.label == facts.run.manifest.baseline:
        return Cell(text="1 (baseline)" if metered else ABSENT, flags=("baseline",)), Cell(text="baseline")
    if comparison is None or comparison.plain is None:
        reason = comparison.reason if comparison is not None else "no round metered both sides"
        return _cell(None, reason, arm, foot), Cell(text="not compared")
    notes = (foot.mark(comparison.remark),) if comparison.remark else ()
    ratio = Cell(value=comparison.plain.value, interval=comparison.plain.interval)
    return ratio, Cell(
        text=_WORDS.get(comparison.verdict, comparison.verdict),
        notes=notes,
        flags=() if comparison.decided else ("withheld",),
    )


def _cell(estimate: Estimate | None, reason: str, arm: Arm, foot: Footnotes) -> Cell:
    if estimate is None:
        return Cell(text=ABSENT, notes=(foot.mark(f"{arm.label}: {reason}"),))
    return timed(estimate, foot)


def _method(facts: Facts, arm: Arm, point: Point) -> str:
    """How and where: quality, boundary, period, and what the meter itself may be off by."""
    result = facts.last_ok(arm, point)
    if result is None or result.energy is None or result.energy.value is None:
        return ""
    use = result.energy_use
    if use is None or use.gross_j is None:
        return result.energy.method
    parts = [result.energy.method, f"source {use.source}"]
    if use.update_period_s:
        parts.append(f"period {use.update_period_s * 1e3:.3g} ms {'measured' if use.period_measured else 'declared'}")
    if use.uncertainty_j is not None:
        parts.append(f"within {100 * use.uncertainty_j / use.gross_j:.2g} % by its steps")
    return "; ".join(parts)


def _remarks(facts: Facts) -> tuple[str, ...]:
    """What meters said of themselves, once each, with the number of launches."""
    found: dict[tuple[str, str], int] = {}
    for result in facts.run.results:
        for note in result.energy_use.notes if result.energy_use is not None else ():
            key = result.arm, note.partition(":")[0].split(" is ")[0]
            found[key] = found.get(key, 0) + 1
    texts = {
        (result.arm, note.partition(":")[0].split(" is ")[0]): note
        for result in facts.run.results
        if result.energy_use is not None
        for note in result.energy_use.notes
    }
    return tuple(
        f"{arm}: {texts[arm, key]} ({counted(count, 'launch', 'launches')})." for (arm, key), count in found.items()
    )


def _traced(facts: Facts, arm: Arm, point: Point) -> Result | None:
    return next(
        (
            result
            for result in reversed(facts.results(arm, point))
            if result.status == "ok" and result.energy_use is not None and result.energy_use.trace is not None
        ),
        None,
    )


def _why(results: Sequence[Result]) -> str:
    """Every reason why no meter was read."""
    reasons = {result.energy.reason for result in results if result.energy is not None and result.energy.value is None}
    return "; ".join(sorted(set(map(without_code, reasons)))) or "no launch read a meter"


SECTION = Section(name="energy", tables={700: energy_table, 800: power_table})
