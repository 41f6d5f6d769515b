"""What the device can reach: roofs that were measured, declared and computed, and all that was measured."""

from collections.abc import Iterator

from steelyard.analysis.roofline import Roof, bandwidths, peaks
from steelyard.core.ceilings import BANDWIDTHS, INSTRUCTIONS, MEANINGS, MEMORY, Ceiling, Ceilings
from steelyard.tables import provenance
from steelyard.tables.facts import Facts
from steelyard.tables.format import ABSENT
from steelyard.tables.provenance import no_ceiling
from steelyard.tables.section import Section
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table


def roofs_table(facts: Facts) -> Table:
    """One row per roof: the peak of each dtype of the run, the bandwidth of each level, from each origin."""
    foot = Footnotes()
    rows = tuple(_roof(kind, name, roof, foot) for kind, name, roof in _roofs(facts))
    return Table(
        name="roofs",
        title="Roofs",
        caption="What results are held against: the fastest that was measured here, what is declared of the device's "
        "model, and what follows from cores, clock and instruction set.",
        columns=(
            Column(key="roof", title="Roof"),
            Column(key="origin", title="Origin"),
            Column(key="flop_per_s", title="Operations", kind="number", unit="FLOP/s", shown="GFLOP/s"),
            Column(key="bytes_per_s", title="Bytes", kind="number", unit="B/s", shown="GB/s"),
            Column(key="source", title="By", wide=True),
        ),
        rows=rows,
        footnotes=foot.all(),
        notes=_remarks(facts.run.manifest.ceilings),
        place="detail",
        empty=f"{no_ceiling(facts)}; none is declared of its model",
    )


def ceilings_table(facts: Facts) -> Table:
    """Everything that was measured, in its order: the steps of the caches, latencies, products, the cost of a call."""
    ceilings = facts.run.manifest.ceilings
    foot = Footnotes()
    rows = () if ceilings is None else tuple(_ceiling(row, foot) for row in ceilings.rows if row.by != INSTRUCTIONS)
    meanings = "; ".join(f"{what}: {meaning}" for what, meaning in MEANINGS.items())
    return Table(
        name="ceilings",
        title="Measured ceilings",
        caption=f"Everything that was measured of this device. {meanings}. "
        "Size is the working set in bytes, on a CPU that of one thread; of a product the edge of its matrices.",
        columns=(
            Column(key="what", title="What"),
            Column(key="by", title="By"),
            Column(key="dtype", title="Dtype"),
            Column(key="threads", title="Threads", kind="integer"),
            Column(key="size", title="Size", kind="integer"),
            Column(key="level", title="Level"),
            Column(key="flop_per_s", title="Operations", kind="number", unit="FLOP/s", shown="GFLOP/s"),
            Column(key="bytes_per_s", title="Bytes", kind="number", unit="B/s", shown="GB/s"),
            Column(key="time_s", title="Time", kind="number", unit="s", shown="ns"),
        ),
        rows=rows,
        footnotes=foot.all(),
        place="data",
        empty=f"not measured on this machine: {provenance.CEILINGS_COMMAND}",
    )


def latency_table(facts: Facts) -> Table:
    """What was measured in seconds: loads by level, operations in chains, the cost of a call."""
    ceilings = facts.run.manifest.ceilings
    foot = Footnotes()
    timed = (
        [] if ceilings is None else [row for row in ceilings.rows if _is_time(row) and _representative(row, ceilings)]
    )
    rows = tuple(
        Row(
            cells=(
                Cell(text=MEANINGS[row.what]),
                Cell(text=row.by),
                Cell(text=row.level or row.dtype),
                _value(row, "s", foot),
            )
        )
        for row in timed
    )
    return Table(
        name="latencies",
        title="Measured latencies",
        caption="Times that no program on this device can go below, as measured.",
        columns=(
            Column(key="what", title="What", wide=True),
            Column(key="by", title="By"),
            Column(key="where", title="Level or dtype"),
            Column(key="time_s", title="Time", kind="number", unit="s", shown="ns"),
        ),
        rows=rows,
        footnotes=foot.all(),
        notes=_remarks(ceilings),
        place="detail",
        empty=f"not measured on this machine: {provenance.CEILINGS_COMMAND}",
    )


def _roofs(facts: Facts) -> Iterator[tuple[str, str, Roof]]:
    manifest = facts.run.manifest
    dtypes = dict.fromkeys(facts.efficiency(arm, point).dtype for point in facts.points for arm in facts.arms)
    for dtype in filter(None, dtypes):
        for roof in peaks(dtype, manifest.ceilings, manifest.profile, manifest.computed_peaks):
            yield "compute", dtype, roof
    levels = [] if manifest.ceilings is None else [name for name, _ in _ordered(manifest.ceilings)]
    for level in (*levels, MEMORY):
        for roof in bandwidths(level, manifest.ceilings, manifest.profile):
            yield "memory", level, roof


def _roof(kind: str, name: str, roof: Roof, foot: Footnotes) -> Row:
    note: tuple[str, ...] = ()
    if roof.origin == "measured" and roof.interval is None:
        note = (foot.mark("no interval: it was measured in too few rounds"),)
    value = Cell(value=roof.per_s, interval=roof.interval if roof.origin == "measured" else None, notes=note)
    none = Cell(text=ABSENT)
    return Row(
        cells=(
            Cell(text=name),
            Cell(text=roof.origin),
            value if kind == "compute" else none,
            value if kind == "memory" else none,
            Cell(text=roof.label),
        ),
        tags={"kind": kind, "roof": name, "origin": roof.origin},
    )


def _ceiling(row: Ceiling, foot: Footnotes) -> Row:
    return Row(
        cells=(
            Cell(text=row.what),
            Cell(text=row.by),
            Cell(text=row.dtype),
            Cell(value=row.threads),
            Cell(text=ABSENT) if row.size is None else Cell(value=row.size),
            Cell(text=row.level),
            *(_value(row, unit, foot) for unit in ("1/s", "B/s", "s")),
        ),
        tags={"what": row.what, "by": row.by, "level": row.level},
    )


def _value(row: Ceiling, unit: str, foot: Footnotes) -> Cell:
    """The value in the column of its unit; the reason there where it has none."""
    if row.unit != unit:
        return Cell(text=ABSENT)
    if row.estimate is None:
        return Cell(text=ABSENT, notes=(foot.mark(f"{row.by}: {row.reason}"),))
    return Cell(value=row.estimate.value, interval=row.estimate.interval)


def _is_time(row: Ceiling) -> bool:
    return row.unit == "s" and row.by != INSTRUCTIONS


def _representative(row: Ceiling, ceilings: Ceilings) -> bool:
    """Of the loads one per level, that with the largest working set; of all else every row."""
    if row.what not in (*BANDWIDTHS, "chase"):
        return True
    same = [other.size or 0 for other in ceilings.rows if (other.what, other.level) == (row.what, row.level)]
    return bool(row.level) and row.size == max(same)


def _ordered(ceilings: Ceilings) -> list[tuple[str, int]]:
    return sorted(ceilings.capacity_bytes.items(), key=lambda entry: entry[1])


def _remarks(ceilings: Ceilings | None) -> tuple[str, ...]:
    if ceilings is None:
        return ()
    noise = f"noise grade {ceilings.grade}" + "".join(f"; {text}" for text in ceilings.evidence)
    return (f"Measured {ceilings.created_utc[:10]} in {ceilings.rounds} rounds; {noise}.", *ceilings.notes)


SECTION = Section(name="ceilings", tables={1800: roofs_table, 1900: latency_table, 3100: ceilings_table})
