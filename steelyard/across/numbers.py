"""Points by device and backend: latency, throughput of a chip, work for a joule, cost."""

from collections.abc import Callable, Sequence
from functools import partial

from steelyard.across.prices import Price, price_of
from steelyard.across.sides import ACROSS, Labelled, backends, column, common, refusals, short, titles
from steelyard.core.comparison import Estimate, Interval
from steelyard.core.workload import Point
from steelyard.measure.driver import metrics_of
from steelyard.tables.format import ABSENT
from steelyard.tables.provenance import levels, sizes
from steelyard.tables.records import rate
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

MILLION = 1e6
HOUR_S = 3600.0

Lookup = Callable[[Labelled, str, str, Point], tuple[Estimate | None, str]]
"""What is shown of a backend (label) on a side at a point (title): an estimate, or None with the reason."""


def columns(sides: Sequence[Labelled], unit: str = "s", shown: str = "") -> tuple[Column, ...]:
    """A column for each backend on each side."""
    return tuple(column(side, arm, "number", unit, shown) for side, arm in backends(sides))


def latency_table(sides: Sequence[Labelled]) -> Table:
    """Latency, and the timed parts of a call where its driver has any."""
    rows: list[Row] = []
    estimates: list[Estimate] = []
    foot = Footnotes()
    labels, _ = short(titles(sides))
    for title, point in titles(sides).items():
        for metric in metrics_of(point):
            cells, found = _cells(sides, title, point, partial(_seconds, metric), foot)
            estimates += found
            words = metric.removesuffix("_s")
            rows.append(_row((Cell(text=labels[title]), Cell(text=words)), cells, labels[title], point))
    return _table(
        "latency",
        "Latency",
        f"Latency of one call and of its timed parts; {_statistic(sides, estimates)}",
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
        f"Items per second of one device, as a run uses one; {_statistic(sides, estimates)}",
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
        f"{_statistic(sides, estimates)}",
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
        f"{_statistic(sides, estimates)}",
        _ITEMS,
        columns(sides, currency or "1"),
        rows,
        foot,
    )
    return (table,)


_ITEMS = (Column(key="point", title="Workload", wide=True), Column(key="items", title="Items"))


def _rows(sides: Sequence[Labelled], lookup: Lookup) -> tuple[list[Row], list[Estimate], Footnotes]:
    rows: list[Row] = []
    estimates: list[Estimate] = []
    foot = Footnotes()
    labels, _ = short(titles(sides))
    for title, point in titles(sides).items():
        cells, found = _cells(sides, title, point, lookup, foot)
        estimates += found
        rows.append(_row((Cell(text=labels[title]), Cell(text=point.work.unit)), cells, labels[title], point))
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
        told = [f"no interval: {estimate.reason}"] if estimate.interval is None and estimate.reason else []
        marks = tuple(foot.mark(text) for text in (*told, *side.remarks(arm, title)))
        cells.append(Cell(value=estimate.value, interval=estimate.interval, notes=marks))
    return tuple(cells), estimates


def _row(head: tuple[Cell, ...], cells: tuple[Cell, ...], label: str, point: Point) -> Row:
    return Row(cells=(*head, *cells), tags={"point": label, "workload": point.workload})


def _table(
    name: str,
    title: str,
    caption: str,
    head: tuple[Column, ...],
    numbers: tuple[Column, ...],
    rows: Sequence[Row],
    foot: Footnotes,
    empty: str = "no side has a configuration",
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


def _statistic(sides: Sequence[Labelled], estimates: Sequence[Estimate]) -> str:
    interval = levels(estimate.interval for estimate in estimates)
    _, shared = short(titles(sides))
    return (
        f"{sizes(estimates)} of all runs of a side together; Hodges-Lehmann estimate over the launches, {interval}, "
        f"which do not cover what one run differs from the next. {common(shared)}Numbers of different columns are "
        f"{ACROSS}; the table of comparisons says which differences may be believed."
    )


def _scaled(estimate: Estimate, by: float) -> Estimate:
    interval = estimate.interval
    if interval is not None:
        interval = Interval(low=interval.low * by, high=interval.high * by, confidence=interval.confidence)
    return Estimate(value=estimate.value * by, interval=interval, n=estimate.n, reason=estimate.reason)
