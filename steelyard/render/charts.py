"""Pieces that several figures are made of: the rows of a table as marks, panels of bars, direct labels."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.render.style import FAINT, GRID, INK, ArmStyle, Look, shorts
from steelyard.tables.format import counted, decimals, fixed, scaled
from steelyard.tables.table import Column, Row, Table

LOG_FROM = 20.0
"""Ratio of the largest to the smallest value from which bars would hide the small ones: dots on a log axis instead."""

APPROXIMATE = "≈"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One row of a table as it is drawn: value and interval in printed units, or the word in their place."""

    arm: str
    point: str
    value: float | None
    low: float | None = None
    high: float | None = None
    word: str = ""
    strong: bool = False
    approximate: bool = False

    @property
    def sign(self) -> str:
        """What stands before its value."""
        return APPROXIMATE if self.approximate else ""


def marks(table: Table, key: str) -> dict[str, list[Mark]]:
    """The rows of a table by point, in order, as marks of one column."""
    column = table.columns[table.index(key)]
    found: dict[str, list[Mark]] = {}
    for row in table.rows:
        found.setdefault(row.tags["point"], []).append(_mark(table, column, row))
    return found


def _mark(table: Table, column: Column, row: Row) -> Mark:
    cell = table.cell(row, column.key)
    about = {"arm": row.tags["arm"], "point": row.tags["point"]}
    if cell.value is None:
        status = row.tags["status"].replace("_", " ")
        word = status if status != "ok" else cell.text.replace("–", "no number")
        return Mark(value=None, word=word, arm=about["arm"], point=about["point"])
    interval = cell.interval
    return Mark(
        value=scaled(cell.value, column),
        low=None if interval is None else scaled(interval.low, column),
        high=None if interval is None else scaled(interval.high, column),
        strong="best" in cell.flags or "tied" in cell.flags,
        approximate="approximate" in table.cell(row, "backend").flags,
        arm=about["arm"],
        point=about["point"],
    )


def approximated(groups: Iterable[Sequence[Mark]]) -> str:
    """What the caption says of approximate results, where there are any."""
    any_ = any(mark.approximate for group in groups for mark in group)
    return f" {APPROXIMATE}: approximate, within a tolerance that was stated." if any_ else ""


def stacked(groups: Sequence[Sequence[Mark]], look: Look) -> tuple[Any, list[Any]]:
    """A figure of one column with a panel for each group that the page holds, and the axes of those panels."""
    from steelyard.render.drawing import new_figure

    across = min(look.across, len(groups))
    heights = [look.scale * (0.32 + 0.145 * len(group)) for group in groups]
    lines = [max(heights[at : at + across]) for at in range(0, len(heights), across)]
    foot = 0.18 * look.scale
    shown = max(1, sum(foot + sum(lines[: count + 1]) <= look.height_in for count in range(len(lines))))
    figure = new_figure(look.column_in, foot + sum(lines[:shown]))
    grid = figure.subplots(shown, across, height_ratios=lines[:shown], squeeze=False)
    axes = [axis for row in grid for axis in row]
    for axis in axes[len(groups) :]:
        axis.remove()
    return figure, axes[: len(groups)]


def far_apart(groups: Iterable[Sequence[Mark]], most: float = LOG_FROM) -> bool:
    """Whether in any of these panels the largest value is so many times the smallest: then all get a log axis."""
    known = [[mark.value for mark in group if mark.value is not None and mark.value > 0] for group in groups]
    return any(max(values) / min(values) > most for values in known if values)


def bars(
    axis: Any,
    group: Sequence[Mark],
    styles: dict[str, ArmStyle],
    look: Look,
    reference: str = "",
    *,
    logarithmic: bool = False,
) -> None:
    """Horizontal bars from zero with whiskers and their values; dots on a log axis where bars would deceive the eye.

    A thin line marks the value of the arm `reference`. Panels of one figure are all drawn in the same way.
    """
    values = [mark.value for mark in group if mark.value is not None and mark.value > 0]
    logarithmic = logarithmic and bool(values)
    farthest = max([mark.high or mark.value or 0.0 for mark in group], default=0.0) or 1.0
    known = [(position, mark) for position, mark in enumerate(group) if mark.value is not None]
    if not logarithmic:
        axis.barh([position for position, _ in known], [mark.value for _, mark in known], height=0.7, lw=0,
                  color=[styles[mark.arm].colour for _, mark in known])  # fmt: skip
    whiskers(axis, group)
    for position, mark in enumerate(group):
        if mark.value is None:
            axis.annotate(mark.word, (0, position), (2, 0), xycoords=("axes fraction", "data"),
                          textcoords="offset points", va="center", color=FAINT, style="italic",
                          fontsize=look.small_pt)  # fmt: skip
            continue
        if logarithmic:
            style = styles[mark.arm]
            axis.plot([mark.value], [position], marker=style.marker, color=style.colour, mec=INK, mew=0.4, ls="none")
        end = mark.high if mark.high is not None else mark.value
        text = mark.sign + fixed(mark.value, decimals(mark.value))
        axis.annotate(text, (end, position), (4, 0), textcoords="offset points", va="center", color=INK,
                      fontsize=look.small_pt, weight="bold" if mark.strong else "normal",
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3, "alpha": 0.85})  # fmt: skip
    labels(axis, group)
    for mark in group:
        if mark.arm == reference and mark.value is not None:
            axis.axvline(mark.value, color=INK, lw=0.5, ls=(0, (2, 2)), zorder=0.8)
    if logarithmic:
        span = farthest / min(values)
        log_axis(axis, "x", min(values) / max(1.1, span**0.08), farthest * max(1.1, span**0.25))
    else:
        axis.set_xlim(0, farthest * 1.2)
        axis.xaxis.set_major_locator(few_ticks())
    axis.grid(axis="x", color=GRID, lw=0.4)


def few_ticks() -> Any:
    """At most six round numbers on an axis."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10])


def whiskers(axis: Any, group: Sequence[Mark]) -> None:
    """The intervals of marks, one line of the panel each."""
    found = [
        (position, mark.value, max(0.0, mark.value - mark.low), max(0.0, mark.high - mark.value))
        for position, mark in enumerate(group)
        if mark.value is not None and mark.low is not None and mark.high is not None
    ]
    if found:
        positions, values, below, above = zip(*found, strict=True)
        axis.errorbar(values, positions, xerr=[below, above], fmt="none", ecolor=INK, elinewidth=0.7, capsize=1.6,
                      capthick=0.7, zorder=5)  # fmt: skip


def labels(axis: Any, group: Sequence[Mark]) -> None:
    """Backends as tick labels, the first on top."""
    names = shorts(mark.arm for mark in group)
    axis.set_yticks(range(len(group)), [names[mark.arm] for mark in group])
    axis.set_ylim(len(group) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)


_ROUND = (1.0, 2.0, 5.0, 3.0, 1.5, 7.0, 2.5, 4.0, 6.0, 8.0)
"""Multiples of powers of ten that a log axis may have as ticks, the roundest first."""
_APART = 0.15
"""Share of a log axis that lies between two of its ticks at least, so that their numbers do not touch."""


def log_axis(axis: Any, side: str, low: float, high: float, *, suffix: str = "") -> None:
    """A log axis (`side` is x or y) from `low` to `high` with plain numbers: 0.5, 1, 2, 5, ...

    That its label says so is seen to by `picture`.
    """
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    getattr(axis, f"set_{side}scale")("log")
    getattr(axis, f"set_{side}lim")(low, high)
    ticks = log_ticks(low, high)
    ticked = getattr(axis, f"{side}axis")
    ticked.set_major_locator(FixedLocator(ticks))
    ticked.set_major_formatter(FixedFormatter([f"{plain_number(tick)}{suffix}" for tick in ticks]))
    ticked.set_minor_locator(NullLocator())


def log_ticks(low: float, high: float) -> list[float]:
    """As many round numbers from `low` to `high` as have room, the roundest first: evenly spaced ones where the two are
    near, powers of ten where they are far apart."""
    if high / low < 2:
        return [float(tick) for tick in few_ticks().tick_values(low, high) if low <= tick <= high]
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    least = (high / low) ** _APART
    ticks: list[float] = []
    for step in _ROUND if high / low < 1000 else _ROUND[:1]:
        for tick in (step * 10.0**power for power in powers):
            if low <= tick <= high and all(max(tick, other) / min(tick, other) >= least for other in ticks):
                ticks.append(tick)
    return sorted(ticks)


def plain_number(value: float) -> str:
    """A tick in words that need no mathematics: 0.02, 5, 2000, 1e6."""
    return (
        f"{value:.6g}" if value < 1000 else (f"{value:.0f}" if value < 100_000 else f"{value:.0e}".replace("e+0", "e"))
    )


def left_out(shown: int, total: int, what: str = "configurations") -> str:
    """A sentence of the caption where not everything fits."""
    verb = "is" if shown == 1 else "are"
    return f" {shown} of {total} {what} {verb} drawn; all are in the CSV." if shown < total else ""


def not_drawn(left: int) -> str:
    """A sentence of the caption where not every backend fits."""
    return f" {counted(left, 'more backend')} {'is' if left == 1 else 'are'} in the CSV." if left > 0 else ""


def key_columns(names: Sequence[str], look: Look) -> int:
    """In how many columns a key of these names is as wide as a column of the page at most, its lines filled evenly."""
    most = max(1, look.characters(look.column_in) // (max(map(len, names)) + 4))
    return -(-len(names) // -(-len(names) // most))
