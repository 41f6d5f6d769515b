"""A search for the largest value that completes as a report: a row for each backend, with its bracket."""

from collections.abc import Sequence

from steelyard.core.largest import Largest, LargestRow
from steelyard.tables.format import ABSENT, counted
from steelyard.tables.table import Cell, Column, Footnotes, ReportData, Row, Table

_COLUMNS = (
    Column(key="point", title="Workload", wide=True),
    Column(key="backend", title="Backend"),
    Column(key="completes", title="Completes at", kind="integer"),
    Column(key="fails", title="Fails at", kind="integer"),
    Column(key="how", title="Ends there as"),
    Column(key="peak", title="Host peak at the largest", kind="number", unit="B", shown="MiB"),
    Column(key="attempts", title="Attempts", kind="integer"),
)


def largest_table(found: Largest) -> Table:
    """The answer of each backend: the largest value that completed, the smallest that did not, and why it did not."""
    foot = Footnotes()
    shared = common(found.rows)
    everywhere = f" In all rows: {', '.join(shared)}." if shared else ""
    return Table(
        name="largest",
        title=f"Largest {found.quantity} that completes",
        caption=f"The largest {found.quantity} ({found.meaning}) at which a launch of its own completed with right "
        f"outputs on {found.device}, and the smallest at which one did not; memory cap: {found.memory_cap}. Each "
        f"attempt is one cold launch with one input set bound.{everywhere}",
        columns=_COLUMNS,
        rows=tuple(_row(row, label(row, shared), foot) for row in found.rows),
        footnotes=foot.all(),
        notes=("Smaller and larger values than those tried are taken to behave alike: the search is a bisection.",),
        empty="nothing was attempted",
    )


def largest_report(found: Largest) -> ReportData:
    """The table as what reports write."""
    table = largest_table(found)
    shared = common(found.rows)
    told = [
        f"{row.backend}, {label(row, shared)}: {found.quantity}={row.completes.value}."
        for row in found.rows
        if row.completes
    ]
    return ReportData(
        run_id=f"largest {found.quantity}",
        title=f"{found.suite}: {table.title}",
        created_utc=found.created_utc,
        device=found.device,
        baseline="",
        headline_workload=found.rows[0].workload if found.rows else "",
        arms=tuple(dict.fromkeys(row.backend for row in found.rows)),
        headline=tuple(told) or ("Nothing completed.",),
        paragraphs=(),
        tables=(table,),
        macros=(),
    )


def common(rows: Sequence[LargestRow]) -> tuple[str, ...]:
    """The settings `name=value` that the points of all rows have in common."""
    first = rows[0].point.split(" ")[1:] if rows else []
    return tuple(setting for setting in first if all(setting in row.point.split(" ") for row in rows))


def label(row: LargestRow, shared: Sequence[str]) -> str:
    """The workload, with the settings in which its point differs from those of other rows."""
    return " ".join(part for part in row.point.split(" ") if part not in shared)


def _row(row: LargestRow, named: str, foot: Footnotes) -> Row:
    completes, fails = row.completes, row.fails
    missing = completes is None or fails is None
    last = Cell(text=ABSENT, notes=(foot.mark(f"{row.backend}, {named}: {_unknown(row)}"),) if missing else ())
    peak = completes.peak_bytes.get("host_peak_bytes") if completes else None
    if fails is None:
        how = last
    else:
        told = f"{fails.status.replace('_', ' ')} at {fails.stage.replace('_', ' ')}"
        how = Cell(text=told, notes=(foot.mark(f"{row.backend}, {named}: {fails.reason or 'no reason was told'}"),))
    if completes is None or peak is not None:
        height = last if peak is None else Cell(value=peak)
    else:
        height = Cell(text=ABSENT, notes=(foot.mark("no host peak was read"),))
    return Row(
        cells=(
            Cell(text=named),
            Cell(text=row.backend),
            Cell(value=completes.value) if completes else last,
            Cell(value=fails.value) if fails else last,
            how,
            height,
            Cell(value=len(row.attempts), notes=(foot.mark(f"ended early: {row.ended}"),) if row.ended else ()),
        ),
        tags={"arm": row.backend, "point": row.point, "status": fails.status if fails else "ok"},
    )


def _unknown(row: LargestRow) -> str:
    """Why one end of the bracket is not there."""
    if not row.attempts:
        return row.ended or "nothing was attempted"
    if row.completes is None:
        return f"no value completed in {counted(len(row.attempts), 'attempt')}"
    return f"no value failed: {row.ended or 'none was larger'}"
