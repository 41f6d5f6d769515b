"""The table of single instructions: latency, throughput, and what runs beside a multiply-add."""

from collections.abc import Mapping

from steelyard.core.ceilings import INSTRUCTIONS, Ceiling, Ceilings, What
from steelyard.tables.format import ABSENT
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

_MULTIPLY_ADDS = ("vfmadd231ps", "fmla")
"""What pairs were measured with: the first instruction of such a name, in float32."""


def instructions_table(ceilings: Ceilings) -> Table:
    """A row for each instruction that was measured alone; what could not be has its reason."""
    foot = Footnotes()
    rows = [row for row in ceilings.rows if row.by == INSTRUCTIONS]
    ways: dict[tuple[str, str], dict[What, Ceiling]] = {}
    for row in rows:
        if row.unit == "cycles":
            ways.setdefault((row.instruction, row.dtype), {})[row.what] = row
    alone = next((_cycles(each) for (name, _), each in ways.items() if name.startswith(_MULTIPLY_ADDS)), None)
    return Table(
        name="instructions",
        title="Instructions",
        caption="Single instructions on one CPU, in cycles. Latency: from one to the next of its kind that needs its "
        "result. Throughput: from one to the next that does not. Pair: the same of it and a multiply-add of float32. "
        "In turns: the sum of the two throughputs. A pair that takes as long shares its units, one that takes "
        "less runs on others.",
        columns=(
            Column(key="instruction", title="Instruction"),
            Column(key="dtype", title="Dtype"),
            Column(key="latency", title="Latency", kind="number", unit="cycles"),
            Column(key="throughput", title="Throughput", kind="number", unit="cycles"),
            Column(key="pair", title="Pair", kind="number", unit="cycles"),
            Column(key="in_turns", title="In turns", kind="number", unit="cycles"),
        ),
        rows=tuple(_row(name, dtype, each, alone, foot) for (name, dtype), each in ways.items()),
        footnotes=foot.all(),
        notes=_clock(rows),
        place="detail",
        empty="none was measured",
    )


def _row(name: str, dtype: str, ways: Mapping[What, Ceiling], alone: float | None, foot: Footnotes) -> Row:
    own = _cycles(ways)
    turns = Cell(text=ABSENT) if None in (own, alone) or "paired" not in ways else Cell(value=(own or 0) + (alone or 0))
    cells = (*(_value(ways.get(what), foot) for what in ("dependent", "independent", "paired")), turns)
    return Row(cells=(Cell(text=name or ABSENT), Cell(text=dtype), *cells), tags={"instruction": name, "dtype": dtype})


def _cycles(ways: Mapping[What, Ceiling]) -> float | None:
    """Cycles between two of the instruction."""
    found = ways.get("independent")
    return None if found is None or found.estimate is None else found.estimate.value


def _value(row: Ceiling | None, foot: Footnotes) -> Cell:
    if row is None:
        return Cell(text=ABSENT)
    if row.estimate is None:
        return Cell(text=ABSENT, notes=(foot.mark(row.reason),))
    return Cell(value=row.estimate.value, interval=row.estimate.interval)


def _clock(rows: list[Ceiling]) -> tuple[str, ...]:
    """What a cycle was taken to be."""
    return tuple(
        f"A cycle is the time of one {row.instruction} that needs the result of the one before: "
        f"{row.estimate.value * 1e9:.3g} ns, {1e-9 / row.estimate.value:.3g} GHz."
        for row in rows
        if row.unit == "s" and row.estimate is not None
    )
