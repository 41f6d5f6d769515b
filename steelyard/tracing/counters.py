"""What CPU and kernel counted for a call, a row for each backend."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from steelyard.across.sides import common, short
from steelyard.core.metrics import Reading
from steelyard.tables.format import ABSENT, without_code
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table
from steelyard.tracing.traced import TracedCase

Counts = Callable[[str], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quantity:
    """A column: the counters that it needs, and what it makes of them."""

    column: Column
    of: tuple[str, ...]
    value: Callable[[Counts], float]


def _a_thousand(name: str, title: str) -> _Quantity:
    """So many of an event in a thousand instructions."""
    return _Quantity(
        column=Column(key=name, title=title, kind="number", unit="1"),
        of=(name, "instructions"),
        value=lambda count: 1000 * count(name) / count("instructions"),
    )


def _count(name: str, title: str, unit: str = "1", shown: str = "") -> _Quantity:
    return _Quantity(
        column=Column(key=name, title=title, kind="number", unit=unit, shown=shown),
        of=(name,),
        value=lambda count: count(name),
    )


_WIDTHS = {"fp_scalar": 32, "fp_128": 128, "fp_256": 256, "fp_512": 512}
_QUANTITIES = (
    _count("instructions", "Instructions"),
    _Quantity(
        column=Column(key="per_cycle", title="Per cycle", kind="number", unit="1"),
        of=("instructions", "cycles"),
        value=lambda count: count("instructions") / count("cycles"),
    ),
    _a_thousand("branch_misses", "Branch misses"),
    _a_thousand("l1d_load_misses", "L1 misses"),
    _a_thousand("cache_misses", "Cache misses"),
    _a_thousand("dtlb_load_misses", "TLB misses"),
    *(
        _Quantity(
            column=Column(key=name, title=f"{width} bits" if width > 32 else "Scalar", kind="number", unit="%"),
            of=tuple(_WIDTHS),
            value=lambda count, name=name: 100 * count(name) / sum(map(count, _WIDTHS)),  # type: ignore[misc]
        )
        for name, width in _WIDTHS.items()
    ),
    _count("cpu_time", "CPU time", "s", "ms"),
    _count("page_faults", "Page faults"),
    _count("context_switches", "Switches"),
    _count("migrations", "Migrations"),
)
_OF_THE_KERNEL = 4
_UNITS = "; misses are per thousand instructions, widths shares of the floating-point instructions"


def counters_table(cases: Sequence[TracedCase]) -> Table:
    """Of one call without the profiler, medians over the launches; columns that no backend has are one note."""
    foot = Footnotes()
    labels, shared = short({each.case.point.title: each.case.point for each in cases})
    counted = [each for each in cases if any(facts.counters for facts in each.facts)]
    told = {quantity.column.key: [_value(each, quantity) for each in counted] for quantity in _QUANTITIES}
    kept = [quantity for quantity in _QUANTITIES if any(isinstance(each, float) for each in told[quantity.column.key])]
    reasons: dict[str, list[str]] = {}
    for quantity in _QUANTITIES:
        if quantity not in kept and counted:
            reasons.setdefault(str(told[quantity.column.key][0]), []).append(quantity.column.title)
    rows = [
        Row(
            cells=(
                Cell(text=labels[each.case.point.title]),
                Cell(text=each.arm),
                *(_cell(told[quantity.column.key][index], foot) for quantity in kept),
            ),
            tags={"arm": each.arm, "point": each.case.point.title, "workload": each.case.point.workload},
        )
        for index, each in enumerate(counted)
    ]
    return Table(
        name="counters",
        title="Counters",
        caption=f"What CPU and kernel counted for one call without the profiler, over all threads of the process"
        f"{_UNITS if len(kept) > _OF_THE_KERNEL else ''}. {common(shared)}",
        columns=(
            Column(key="point", title="Workload", wide=True),
            Column(key="backend", title="Backend"),
            *(quantity.column for quantity in kept),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=tuple(f"Not counted: {', '.join(names)}: {reason}" for reason, names in reasons.items()),
        place="detail",
        empty="nothing was traced, or by a version that counted nothing",
    )


def _value(each: TracedCase, quantity: _Quantity) -> float | str:
    """The median over the launches, or why there is none."""
    found = []
    for facts in each.facts:
        readings = [facts.counters.get(name) for name in quantity.of]
        if missing := next((why for reading in readings if (why := _missing(reading))), ""):
            return missing
        values = {name: float(reading.value) for name, reading in facts.counters.items() if reading.value is not None}
        try:
            found.append(quantity.value(values.__getitem__))
        except ZeroDivisionError:
            return "the counter that it is a part of stands at 0"
    return median(found)


def _missing(reading: Reading | None) -> str:
    if reading is None:
        return "not asked for by the version that traced"
    return "" if reading.value is not None else without_code(reading.reason)


def _cell(value: float | str, foot: Footnotes) -> Cell:
    return Cell(value=value) if isinstance(value, float) else Cell(text=ABSENT, notes=(foot.mark(value),))
