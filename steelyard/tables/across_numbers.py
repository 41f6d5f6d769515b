"""Points by device and backend: latency, throughput of a chip, work for a joule, cost, and what `compare` says."""

from collections.abc import Callable, Sequence
from functools import partial

from steelyard.core.comparison import Comparison, Estimate, Interval
from steelyard.core.workload import Point
from steelyard.tables.across_sides import ACROSS, Labelled, backends, refusals, titles
from steelyard.tables.format import ABSENT, TIMES, percent
from steelyard.tables.prices import Price, price_of
from steelyard.tables.provenance import levels, sizes
from steelyard.tables.records import rate
from steelyard.tables.speed import speedup
from steelyard.tables.table import Cell, Column, Flag, Footnotes, Row, Table

MILLION = 1e6
HOUR_S = 3600.0
_TIMED = ("latency_s", "ttft_s", "tpot_s")
_DECIDED = ("faster", "slower", "equivalent")

Lookup = Callable[[Labelled, str, str, Point], tuple[Estimate | None, str]]
"""What is shown of a backend (label) on a side at a point (title): an estimate, or None with the reason."""


def columns(sides: Sequence[Labelled], unit: str = "s", shown: str = "") -> tuple[Column, ...]:
    """A column for each backend on each side."""
    return tuple(
        Column(key=f"{arm} | {side.label}", title=f"{arm}, {side.label}", kind="number", unit=unit, shown=shown)
        for side, arm in backends(sides)
    )


def latency_table(sides: Sequence[Labelled]) -> Table:
    """Latency, and for what generates the first token and the time per token."""
    rows: list[Row] = []
    estimates: list[Estimate] = []
    foot = Footnotes()
    for title, point in titles(sides).items():
        for metric in _TIMED if point.driver == "generate" else _TIMED[:1]:
            cells, found = _cells(sides, title, point, partial(_seconds, metric), foot)
            estimates += found
            words = metric.removesuffix("_s")
            rows.append(_row((Cell(text=title), Cell(text=words)), cells, title, point))
    return _table(
        "latency",
        "Latency",
        f"Latency of one call, and of what generates the first token and the time per token; {_statistic(estimates)}",
        (Column(key="point", title="Workload", wide=True), Column(key="metric", title="Time")),
        columns(sides, "s", "ms"),
        rows,
        foot,
    )


def _seconds(metric: str, side: Labelled, arm: str, title: str, _: Point) -> tuple[Estimate | None, str]:
    return side.estimate(arm, title, metric)


def throughput_table(sides: Sequence[Labelled]) -> Table:
    """Items a second of one chip: a run uses one device."""

    def lookup(side: Labelled, arm: str, title: str, point: Point) -> tuple[Estimate | None, str]:
        seconds, reason = side.estimate(arm, title, "latency_s")
        return (None, reason) if seconds is None else (rate(point.work.items, seconds), "")

    rows, estimates, foot = _rows(sides, lookup)
    return _table(
        "chip",
        "Throughput per chip",
        f"Items per second of one device, as a run uses one; {_statistic(estimates)}",
        _ITEMS,
        columns(sides, "items/s"),
        rows,
        foot,
    )


def energy_table(sides: Sequence[Labelled]) -> Table:
    """Items per joule, which is throughput per watt; only where energy was measured."""

    def lookup(side: Labelled, arm: str, title: str, point: Point) -> tuple[Estimate | None, str]:
        joules, reason = side.estimate(arm, title, "energy_j")
        return (None, reason) if joules is None else (rate(point.work.items, joules), "")

    rows, estimates, foot = _rows(sides, lookup)
    if not estimates:
        reasons = dict.fromkeys(note.text for note in foot.all())
        return _table("watt", "Throughput per watt", "", _ITEMS, columns(sides, "items/J"), [], Footnotes(),
                      empty=f"no energy was measured ({'; '.join(reasons)})")  # fmt: skip
    return _table(
        "watt",
        "Throughput per watt",
        "Items per joule, that is items per second and watt, from the measured energy of a call; "
        f"{_statistic(estimates)}",
        _ITEMS,
        columns(sides, "items/J"),
        rows,
        foot,
    )


def cost_tables(sides: Sequence[Labelled], prices: Sequence[Price]) -> tuple[Table, ...]:
    """The cost of a million items at the prices of an hour that the user gave; no table without a price."""
    if not prices:
        return ()

    def lookup(side: Labelled, arm: str, title: str, point: Point) -> tuple[Estimate | None, str]:
        seconds, reason = side.estimate(arm, title, "latency_s")
        price = price_of(prices, side.device)
        if price is None:
            return None, f"no price was given for {side.device}"
        if seconds is None:
            return None, reason
        return _scaled(seconds, price.per_hour / HOUR_S / point.work.items * MILLION), ""

    rows, estimates, foot = _rows(sides, lookup)
    currency = prices[0].currency
    told = "; ".join(f"{price.device} {price.per_hour:g} {price.currency}".rstrip() + " per hour" for price in prices)
    table = _table(
        "cost",
        "Cost of a million items",
        f"Cost of a million items on a device that is busy all the time, at the prices given ({told}); "
        f"{_statistic(estimates)}",
        _ITEMS,
        columns(sides, currency or "1"),
        rows,
        foot,
    )
    return (table,)


def verdict_table(sides: Sequence[Labelled], pairs: Sequence[tuple[str, Comparison]]) -> Table:
    """Each further side against the first: speed-up with interval, verdict, and why there is none."""
    foot = Footnotes()
    rows = []
    for label, item in pairs:
        times = speedup(item)
        undecided = item.verdict not in _DECIDED
        marks = (foot.mark(item.reason),) if undecided and item.reason else ()
        flags: tuple[Flag, ...] = ("withheld",) if undecided else ()
        effect = Cell(text=ABSENT, notes=(foot.mark("fewer than 3 runs with a control arm on a side"),))
        cells = (
            Cell(text=item.title),
            Cell(text=item.metric.removesuffix("_s")),
            Cell(text=f"{item.candidate}, {label}"),
            Cell(text=f"{item.baseline}, {sides[0].label}"),
            Cell(text=ABSENT, notes=marks) if times is None else Cell(value=times.value, interval=times.interval),
            effect if item.floor is None else Cell(value=item.floor),
            Cell(text=item.verdict, flags=flags, notes=marks),
            Cell(text=item.scope),
        )
        about = {"arm": item.candidate, "workload": item.workload, "point": item.title, "verdict": item.verdict}
        rows.append(Row(cells=cells, tags=about))
    margins = " and ".join(sorted({percent(item.margin) for _, item in pairs}))
    ratios = levels(None if item.ratio is None else item.ratio.interval for _, item in pairs)
    return Table(
        name="across-verdicts",
        title=f"Comparison, {ACROSS}",
        caption=f"Speed-up over {sides[0].label}, above 1 is faster, {ACROSS}: nothing is paired; {ratios}. Faster or "
        f"slower: the whole interval lies beyond the larger of {margins or 'the margin'} and the effect of the run, "
        "which is what one run differs from the next by the control arms.",
        columns=(
            Column(key="point", title="Workload", wide=True),
            Column(key="metric", title="Time"),
            Column(key="candidate", title="Backend"),
            Column(key="baseline", title="Against"),
            Column(key="speedup", title="Speed-up", kind="number", unit="1", shown=TIMES),
            Column(key="effect", title="Effect of the run", kind="number", unit="1", shown="%"),
            Column(key="verdict", title="Verdict"),
            Column(key="scope", title="Scope"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        empty="the sides have no point and metric in common",
    )


_ITEMS = (Column(key="point", title="Workload", wide=True), Column(key="items", title="Items"))


def _rows(sides: Sequence[Labelled], lookup: Lookup) -> tuple[list[Row], list[Estimate], Footnotes]:
    rows: list[Row] = []
    estimates: list[Estimate] = []
    foot = Footnotes()
    for title, point in titles(sides).items():
        cells, found = _cells(sides, title, point, lookup, foot)
        estimates += found
        rows.append(_row((Cell(text=title), Cell(text=point.work.unit)), cells, title, point))
    return rows, estimates, foot


def _cells(
    sides: Sequence[Labelled], title: str, point: Point, lookup: Lookup, foot: Footnotes
) -> tuple[tuple[Cell, ...], list[Estimate]]:
    """The cells of a point, and the estimates among them. Who did other work than the first side has no number."""
    refused = refusals(sides, title)
    cells: list[Cell] = []
    estimates: list[Estimate] = []
    for side, arm in backends(sides):
        estimate, reason = (None, refused[side.label]) if side.label in refused else lookup(side, arm, title, point)
        if estimate is None:
            cells.append(Cell(text=ABSENT, notes=(foot.mark(reason),)))
            continue
        estimates.append(estimate)
        marks = (foot.mark(f"no interval: {estimate.reason}"),) if estimate.interval is None and estimate.reason else ()
        cells.append(Cell(value=estimate.value, interval=estimate.interval, notes=marks))
    return tuple(cells), estimates


def _row(head: tuple[Cell, ...], cells: tuple[Cell, ...], title: str, point: Point) -> Row:
    return Row(cells=(*head, *cells), tags={"point": title, "workload": point.workload})


def _table(
    name: str,
    title: str,
    caption: str,
    head: tuple[Column, ...],
    numbers: tuple[Column, ...],
    rows: Sequence[Row],
    foot: Footnotes,
    empty: str = "no side has a point",
) -> Table:
    return Table(
        name=f"across-{name}",
        title=f"{title}, {ACROSS}",
        caption=caption,
        columns=(*head, *numbers),
        rows=tuple(rows),
        footnotes=foot.all(),
        empty=empty,
    )


def _statistic(estimates: Sequence[Estimate]) -> str:
    interval = levels(estimate.interval for estimate in estimates)
    return (
        f"{sizes(estimates)} of all runs of a side together; Hodges-Lehmann estimate over the launches, {interval}, "
        "which do not cover what one run differs from the next. Numbers of different columns are "
        f"{ACROSS}; the table of comparisons says which differences may be believed."
    )


def _scaled(estimate: Estimate, by: float) -> Estimate:
    interval = estimate.interval
    if interval is not None:
        interval = Interval(low=interval.low * by, high=interval.high * by, confidence=interval.confidence)
    return Estimate(value=estimate.value * by, interval=interval, n=estimate.n, reason=estimate.reason)
