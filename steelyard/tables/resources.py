"""Memory by phase, and energy, each with the reason where the machine does not tell."""

from collections.abc import Sequence

from steelyard.core.case import Arm
from steelyard.core.workload import Point
from steelyard.tables import provenance
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT
from steelyard.tables.speed import tags, timed
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

PHASES = ("import", "load", "compile", "first_run", "second_run", "steady")
"""The phases in their order; what is not among them comes after, by name."""

_NAMES = {
    "host_peak_bytes": "Host peak",
    "planned_bytes": "Planned",
    "allocator_peak_bytes": "Allocator peak",
    "device_peak_bytes": "Device peak",
}


def memory_keys(facts: Facts) -> tuple[str, ...]:
    """The keys `metric/phase` of which any launch has a value, metrics in the order above, phases in time order."""
    found = {key for result in facts.run.results for key, reading in result.memory.items() if reading.value is not None}
    metrics = tuple(_NAMES)

    def order(key: str) -> tuple[int, int, str]:
        metric, _, phase = key.partition("/")
        first = metrics.index(metric) if metric in metrics else len(metrics)
        return first, PHASES.index(phase) if phase in PHASES else len(PHASES), key

    return tuple(sorted(found, key=order))


def memory_table(facts: Facts) -> Table:
    """Peaks by phase, one row per backend and point whose case ran first in its launches."""
    keys = memory_keys(facts)
    foot = Footnotes()
    measured = [
        point
        for point in facts.points
        if any(facts.memory(arm, point, key) is not None for arm in facts.arms for key in keys)
    ]
    several = len(facts.points) > 1
    columns = (
        *((Column(key="point", title="Workload"),) if several else ()),
        Column(key="backend", title="Backend"),
        *(Column(key=key, title=_title(key), kind="number", unit="B", shown="MiB") for key in keys),
    )
    rows, estimates = [], []
    for point in measured:
        for arm in facts.arms:
            cells = []
            for key in keys:
                estimate = facts.memory(arm, point, key)
                estimates.append(estimate)
                if estimate is None:
                    cells.append(Cell(text=ABSENT, notes=(foot.mark(_reason(facts, arm, point, key)),)))
                else:
                    cells.append(timed(estimate, foot))
            head = (Cell(text=facts.label(point)),) if several else ()
            rows.append(Row(cells=(*head, Cell(text=arm.label), *cells), tags=tags(facts, arm, point)))
    absent = _absent(facts, keys)
    return Table(
        name="memory",
        title="Memory by phase",
        caption=provenance.caption(
            facts, measured, "Peak memory of each phase apart, of the case that ran first in its launch.", estimates
        )
        if measured
        else "",
        columns=columns,
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=(*absent, *_remarks(facts), *provenance.notes(facts)),
        empty="; ".join(absent) or "no launch read its memory",
        basis=provenance.basis(estimates),
    )


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


def _title(key: str) -> str:
    metric, _, phase = key.partition("/")
    return f"{_NAMES.get(metric, metric)}, {phase.replace('_', ' ')}" if phase else _NAMES.get(metric, metric)


def _reason(facts: Facts, arm: Arm, point: Point, key: str) -> str:
    """Why an arm has no value at a point: what its launches said, that it failed, or that there is no such thing."""
    results = facts.results(arm, point)
    for result in reversed(results):
        if key in result.memory and result.memory[key].value is None:
            return result.memory[key].reason
    outcome = facts.outcome(arm, point)
    if outcome.status != "ok":
        return outcome.remark
    if any(key in result.memory for result in results):
        return facts.reason(arm, point, key)
    return "this workload, or this runtime, has no such part"


def _remarks(facts: Facts) -> tuple[str, ...]:
    """What launches said of themselves that is no failure: memory that grows, processes that stayed. Once per case."""
    found: dict[tuple[str, str, str], tuple[str, int]] = {}
    for point in facts.points:
        for arm in facts.arms:
            for result in facts.results(arm, point):
                for remark in result.details.get("remarks", ()):
                    key = arm.label, facts.label(point), remark.partition(":")[0]  # behind it stand its numbers
                    first, count = found.get(key, (remark, 0))
                    found[key] = first, count + 1
    return tuple(
        f"{arm}, {point}: {remark} ({count} {'launch' if count == 1 else 'launches'})."
        for (arm, point, _), (remark, count) in found.items()
    )


def _absent(facts: Facts, keys: Sequence[str]) -> tuple[str, ...]:
    """What no backend could tell, with the reasons."""
    found: dict[str, set[str]] = {}
    for result in facts.run.results:
        for key, reading in result.memory.items():
            if key not in keys and reading.value is None:
                found.setdefault(key, set()).add(reading.reason)
    return tuple(f"{_title(key)}: not known ({'; '.join(sorted(found[key]))})." for key in sorted(found))
