"""Memory by phase, each quantity apart with its method, and what is planned or follows from the shapes."""

from collections.abc import Callable, Mapping, Sequence

from steelyard.core.case import Arm
from steelyard.core.comparison import Estimate
from steelyard.core.workload import Point
from steelyard.measure.driver import driver_of
from steelyard.tables import provenance
from steelyard.tables.cells import tags, timed
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

PHASES = ("import", "load", "compile", "first_run", "second_run", "steady")
"""The phases in their order; what is not among them comes after, by name."""

QUANTITIES: Mapping[str, str] = {
    "host_peak_bytes": "Host peak",
    "host_sampled_bytes": "Host, sampled",
    "host_anon_bytes": "Host anonymous, at end",
    "host_file_bytes": "Host files, at end",
    "tree_bytes": "With children, at end",
    "group_peak_bytes": "Control group peak",
    "allocator_peak_bytes": "Allocator peak",
    "allocator_reserved_bytes": "Allocator reserved",
    "device_peak_bytes": "Device peak",
    "device_used_bytes": "Device, at end",
    "planned_bytes": "Planned",
}
"""What is measured, in printing order. None of them is added to another."""

PLANNED = "planned_bytes"


def memory_keys(facts: Facts) -> tuple[str, ...]:
    """The keys `metric/phase` of which any launch has a value, metrics in the order above, phases in time order."""
    found = {key for result in facts.run.results for key, reading in result.memory.items() if reading.value is not None}
    metrics = tuple(QUANTITIES)

    def order(key: str) -> tuple[int, int, str]:
        metric, _, phase = key.partition("/")
        first = metrics.index(metric) if metric in metrics else len(metrics)
        return first, _when(phase), key

    return tuple(sorted(found, key=order))


def memory_table(facts: Facts) -> Table:
    """One row per workload, backend and quantity, a column per phase, of cases that ran first in their launches."""
    keys = [key for key in memory_keys(facts) if not key.startswith(PLANNED)]
    phases = sorted(dict.fromkeys(_phase(key) for key in keys), key=lambda phase: (_when(phase), phase))
    metrics = tuple(dict.fromkeys(key.partition("/")[0] for key in keys))
    measured = [
        point
        for point in facts.points
        if any(facts.memory(arm, point, key) is not None for arm in facts.arms for key in keys)
    ]
    several = len(facts.points) > 1
    foot = Footnotes()
    rows, estimates = [], []
    for point in measured:
        for arm in facts.arms:
            for metric in metrics:
                if metric != metrics[0] and not _is_recorded(facts, arm, point, metric):
                    continue  # this backend has no such quantity; a failure stands in its first row
                cells = []
                for phase in phases:
                    estimate = facts.memory(arm, point, f"{metric}/{phase}")
                    estimates.append(estimate)
                    cells.append(_cell(facts, arm, point, f"{metric}/{phase}", estimate, foot))
                head = (Cell(text=facts.label(point)),) if several else ()
                named = (Cell(text=arm.label), Cell(text=QUANTITIES.get(metric, metric)))
                rows.append(Row(cells=(*head, *named, *cells), tags={**tags(facts, arm, point), "metric": metric}))
    absent = _absent(facts, memory_keys(facts))
    return Table(
        name="memory",
        title="Memory by phase",
        caption=provenance.caption(
            facts,
            measured,
            "Memory of each phase apart, of the case that ran first in its launch; quantities overlap and do not add "
            "up, and what is read at the end of a phase is no peak.",
            estimates,
        )
        if measured
        else "",
        columns=(
            *((Column(key="point", title="Workload"),) if several else ()),
            Column(key="backend", title="Backend"),
            Column(key="quantity", title="Quantity"),
            *(Column(key=phase, title=_heading(phase), kind="number", unit="B", shown="MiB") for phase in phases),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=(*_methods(facts, metrics), *absent, *_remarks(facts)) if rows else absent,
        conditions=provenance.conditions(facts),
        empty="; ".join(absent) or "no launch read its memory",
        basis=provenance.basis(estimates),
    )


def plan_table(facts: Facts) -> Table:
    """What is known without a measurement: weights and KV cache by their shapes, and what each compiler planned."""
    keys = [key for key in memory_keys(facts) if key.startswith(PLANNED)]
    foot = Footnotes()
    several = len(facts.points) > 1
    state = ", ".join(dict.fromkeys(driver_of(point).state for point in facts.points if point.state_bytes))
    rows = []
    for point in facts.points:
        for arm in facts.arms:
            planned = [_planned(facts, arm, point, key, foot) for key in keys]
            head = (Cell(text=facts.label(point)),) if several else ()
            shapes = (
                _sized(point.work.weight_bytes, foot.mark, "the suite does not count the weights"),
                *([_sized(point.state_bytes, foot.mark, "the workload carries no state")] if state else []),
            )
            rows.append(Row(cells=(*head, Cell(text=arm.label), *shapes, *planned), tags=tags(facts, arm, point)))
    return Table(
        name="memory-plan",
        title="Memory by shapes and by plan",
        caption=f"What is known without a measurement: weights{f' and {state}' if state else ''} as their shapes say, "
        "the same for all backends, and what a compiler planned for one call beside its arguments.",
        columns=(
            *((Column(key="point", title="Workload"),) if several else ()),
            Column(key="backend", title="Backend"),
            Column(key="weight_bytes", title="Weights", kind="number", unit="B", shown="MiB"),
            *((Column(key="kv_cache_bytes", title=state, kind="number", unit="B", shown="MiB"),) if state else ()),
            *(Column(key=key, title=_title(key), kind="number", unit="B", shown="MiB") for key in keys),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=_methods(facts, (PLANNED,)),
        conditions=provenance.conditions(facts, estimates=False),
        place="detail",
        empty="nothing was planned",
    )


def _cell(
    facts: Facts,
    arm: Arm,
    point: Point,
    key: str,
    estimate: Estimate | None,
    foot: Footnotes,
) -> Cell:
    if estimate is None:
        return Cell(text=ABSENT, notes=(foot.mark(_reason(facts, arm, point, key)),))
    return timed(estimate, foot)


def _planned(facts: Facts, arm: Arm, point: Point, key: str, foot: Footnotes) -> Cell:
    """A compiler's plan, which any launch tells, whichever case ran first; the largest where they differ."""
    good = [result for result in facts.results(arm, point) if result.status == "ok" and key in result.memory]
    told = [result.memory[key].value for result in good]
    values = [value for value in told if value is not None]
    if not values:
        return Cell(text=ABSENT, notes=(foot.mark(_reason(facts, arm, point, key)),))
    differ = (foot.mark("launches differ in what they planned; the largest is shown"),) if len(set(values)) > 1 else ()
    return Cell(value=max(values), notes=differ)


def _sized(count: int | None, mark: Callable[[str], str], reason: str) -> Cell:
    return Cell(text=ABSENT, notes=(mark(reason),)) if count is None else Cell(value=float(count))


def _phase(key: str) -> str:
    return key.partition("/")[2]


def _when(phase: str) -> int:
    return PHASES.index(phase) if phase in PHASES else len(PHASES)


def _heading(phase: str) -> str:
    words = phase.replace("_", " ")
    return words[:1].upper() + words[1:]


def _title(key: str) -> str:
    metric, _, phase = key.partition("/")
    name = QUANTITIES.get(metric, metric)
    return f"{name}, {phase.replace('_', ' ')}" if phase else name


def _is_recorded(facts: Facts, arm: Arm, point: Point, metric: str) -> bool:
    """Whether a launch of this arm said anything of a metric, be it why it is not known."""
    return any(key.startswith(f"{metric}/") for result in facts.results(arm, point) for key in result.memory)


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
    if key.startswith("tree_bytes/"):
        return "no child of the process lived at the end of the phase"
    return "this workload, or this runtime, has no such part"


def _methods(facts: Facts, metrics: Sequence[str]) -> tuple[str, ...]:
    """How each quantity was read, as the readings say; ways that differ in a number alone are told once."""
    read = {
        (key, reading.method): None
        for result in facts.run.results
        for key, reading in result.memory.items()
        if reading.value is not None and reading.method
    }
    found: dict[str, dict[str, None]] = {}
    for key, method in read:
        found.setdefault(key.partition("/")[0], {})[method] = None
    return tuple(
        f"{QUANTITIES.get(metric, metric)}: {'; '.join(found[metric])}." for metric in metrics if metric in found
    )


def _remarks(facts: Facts) -> tuple[str, ...]:
    """What launches said of themselves that is no failure: memory that grows, processes that stayed. Once per case."""
    found: dict[tuple[str, str, str], tuple[str, int]] = {}
    for point in facts.points:
        for arm in facts.arms:
            for result in facts.results(arm, point):
                for remark in result.details.remarks:
                    key = arm.label, facts.label(point), remark.partition(":")[0]  # behind it stand its numbers
                    first, count = found.get(key, (remark, 0))
                    found[key] = first, count + 1
    return tuple(
        f"{arm}, {point}: {remark} ({count} {'launch' if count == 1 else 'launches'})."
        for (arm, point, _), (remark, count) in found.items()
    )


def _absent(facts: Facts, keys: Sequence[str]) -> tuple[str, ...]:
    """What no backend could tell in any phase, with the reasons."""
    known = {key.partition("/")[0] for key in keys}
    found: dict[str, set[str]] = {}
    for result in facts.run.results:
        for key, reading in result.memory.items():
            metric = key.partition("/")[0]
            if metric not in known and reading.value is None:
                found.setdefault(metric, set()).add(reading.reason)
    return tuple(f"{QUANTITIES.get(m, m)}: not known ({'; '.join(sorted(found[m]))})." for m in sorted(found))


SECTION = Section(name="memory", tables={500: memory_table, 1500: plan_table})
