"""A history as a table: the level that each series has now, and how it came to it."""

from collections.abc import Iterator, Sequence

from steelyard.core.comparison import Interval
from steelyard.history.changes import Change, Told
from steelyard.tables.format import ABSENT, counted, fixed
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table


def history_table(series: Sequence[Told]) -> Table:
    """A row for each series: nights, level, noise, and the last change of level with the versions that changed."""
    foot = Footnotes()
    return Table(
        name="history",
        title="History",
        caption="The level of each series now (geometric mean over its nights), what a night differs from it by "
        "(standard deviation), and the last change of level: the ratio after / before with its 95 % interval, above 1 "
        "is slower. A change counts where the whole interval is beyond 2 % and both levels have three nights.",
        columns=(
            Column(key="workload", title="Workload", wide=True),
            Column(key="backend", title="Backend"),
            Column(key="metric", title="Metric", kind="code"),
            Column(key="nights", title="Nights", kind="integer"),
            Column(key="level", title="Level", kind="number", unit="s", shown="ms"),
            Column(key="noise", title="Noise", kind="number", unit="%"),
            Column(key="change", title="Change", kind="number", unit="×"),
            Column(key="verdict", title="Verdict"),
            Column(key="since", title="Since"),
            Column(key="versions", title="Versions", wide=True),
        ),
        rows=tuple(_row(each, foot) for each in series),
        footnotes=foot.all(),
        empty="the history holds no series",
    )


def verdict(change: Change) -> str:
    """What is said of a change: slower, faster, or that it is too small or too new."""
    return change.word if change.matters else "none yet"


def sentences(series: Sequence[Told]) -> Iterator[str]:
    """The changes that count, newest first, each with its runs and how to look closer."""
    found = [change for each in series for change in each.changes if change.matters]
    for change in sorted(found, key=lambda each: each.after.since.created_utc, reverse=True):
        low, high = change.interval
        what = f"{change.series.arm}, {change.series.title}, {change.series.metric}"
        by = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in change.versions.items())
        yield (
            f"{what}: {change.word} since {change.after.since.created_utc[:10]}, {fixed(change.ratio, 3)} times "
            f"[{fixed(low, 3)}, {fixed(high, 3)}] as long; {by or 'no version that is known changed'}; "
            f"last before: {change.before.nights[-1].run}, first after: {change.after.since.run}"
        )


def _row(each: Told, foot: Footnotes) -> Row:
    series, last = each.series, next(reversed(list(each.changes)), None)
    skipped = tuple(
        foot.mark(f"{counted(len(each.left_out), 'night')} count for nothing, the last: {each.left_out[-1].reason}")
        for _ in each.left_out[-1:]
    )
    untold = (foot.mark(each.reason),) if each.reason else ()
    absent = Cell(text=ABSENT, notes=untold)
    level = each.levels[-1] if each.levels else None
    return Row(
        cells=(
            Cell(text=series.title),
            Cell(text=series.arm),
            Cell(text=series.metric),
            Cell(value=sum(len(one.nights) for one in each.levels), notes=skipped),
            absent if level is None else Cell(value=level.value),
            absent if each.noise is None else Cell(value=100 * each.noise),
            *_change(last, absent if each.noise is None else Cell(text="none")),
        ),
        tags={"arm": series.arm, "point": series.title},
    )


def _change(last: Change | None, without: Cell) -> tuple[Cell, ...]:
    if last is None:
        return without, Cell(), Cell(), Cell()
    low, high = last.interval
    return (
        Cell(value=last.ratio, interval=Interval(low=low, high=high, confidence=0.95)),
        Cell(text=verdict(last)),
        Cell(text=last.after.since.created_utc[:10]),
        Cell(text=", ".join(f"{name} {old} -> {new}" for name, (old, new) in last.versions.items())),
    )
