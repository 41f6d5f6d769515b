"""The figure of a traced run: a bar for each backend, divided by class of operator."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.style import GRID, INK, Look, short
from steelyard.tables.table import ReportData, Table
from steelyard.tracing.classes import CLASSES, name_of
from steelyard.tracing.shades import SHADES

ROW_IN, PANEL_IN, LEGEND_IN = 0.19, 0.42, 0.14
"""Inches of a bar, of what a panel has beside its bars, and of a row of the legend."""
KEYS_A_ROW = 3
_MOST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bar:
    """A backend at a configuration: percent of a call by class, and seconds of a call where they may be told."""

    arm: str
    label: str
    shares: Mapping[str, float]
    call_s: float | None


class Operators:
    """Panels of configurations, at most eight; in each a bar for each backend, as long as its call where every backend
    of the panel tells absolute times, else all as long as each other."""

    name = "operators"
    title = "Operators"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the tables of operators."""
        panels = {title: bars for title, bars in _panels(data) if bars}
        if not panels:
            return Drawing(figure=None, reason="nothing could be traced")
        shown = dict(list(panels.items())[:_MOST])
        classes = [name for name in CLASSES if any(name in bar.shares for bars in shown.values() for bar in bars)]
        count = sum(map(len, shown.values()))
        keys = -(-len(classes) // KEYS_A_ROW)
        height = look.scale * (LEGEND_IN * keys + PANEL_IN * len(shown) + ROW_IN * count)
        figure = new_figure(look.column_in, height)
        ratios = [len(bars) + 0.6 for bars in shown.values()]
        axes = figure.subplots(len(shown), 1, height_ratios=ratios, squeeze=False)
        for (axis,), bars in zip(axes, shown.values(), strict=True):
            _panel(axis, bars, look)
        legend(figure, {name_of(name): SHADES[name] for name in classes})
        left = f" {len(panels) - _MOST} more configurations are in the CSV." if len(panels) > _MOST else ""
        return Drawing(
            figure=figure,
            caption=f"Where the time of one call goes on {data.device}, by class of operator. In percent of the call "
            f"where a profiler changed how long calls of the panel take by more than a tenth.{left}",
            columns=("point", "backend", "call_s", *CLASSES),
            rows=tuple(
                (title, bar.arm, bar.call_s, *(bar.shares.get(name) for name in CLASSES))
                for title, bars in panels.items()
                for bar in bars
            ),
            alternative="Stacked bars of the classes of operators in a call, one for each backend; the numbers are in "
            "the tables of operators.",
        )


def _panels(data: ReportData) -> Iterator[tuple[str, list[_Bar]]]:
    tracing = data.table("tracing")
    calls = {(row.tags["point"], row.tags["arm"]): tracing.cell(row, "call").value for row in tracing.rows}
    for table in data.tables:
        if table.name.startswith("operators-") and table.rows:
            title = table.rows[0].tags["point"]
            label = table.rows[0].tags["label"]
            arms = [column.tags["arm"] for column in table.columns if "arm" in column.tags]
            bars = [_Bar(arm=arm, label=label, shares=_shares(table, arm), call_s=calls[title, arm]) for arm in arms]
            yield title, [bar for bar in bars if bar.shares]


def _shares(table: Table, arm: str) -> dict[str, float]:
    """What there is to draw: of a call that ended a little before its kernels less than nothing is left."""
    values = {row.tags["class"]: table.cell(row, arm).value for row in table.rows}
    return {name: value for name, value in values.items() if value and value > 0}


def _panel(axis: Any, bars: Sequence[_Bar], look: Look) -> None:
    calls = [bar.call_s for bar in bars if bar.call_s is not None]
    in_seconds = len(calls) == len(bars)
    for position, bar in enumerate(bars):
        left, scale = 0.0, (bar.call_s or 0.0) * 1e3 / 100 if in_seconds else 1.0
        for name in CLASSES:
            width = bar.shares.get(name, 0.0) * scale
            shade, hatch = SHADES[name]
            axis.barh(position, width, left=left, height=0.72, color=shade, edgecolor=INK, hatch=hatch, linewidth=0.3)
            left += width
    axis.set_yticks(range(len(bars)), [bar.arm for bar in bars])
    axis.set_ylim(len(bars) - 0.4, -0.6)
    axis.set_xlim(0, 1.03e3 * max(calls) if in_seconds else 100)
    axis.set_xlabel("one call [ms]" if in_seconds else "part of a call [%]")
    axis.set_title(short(bars[0].label, look.characters(look.column_in) - 20))
    axis.grid(axis="x", color=GRID, lw=0.4)


def legend(figure: Any, shades: Mapping[str, tuple[str, str]], keys_a_row: int = KEYS_A_ROW) -> None:
    """What the parts of bars are, with the colour and the hatch of each, above the panels."""
    from matplotlib.patches import Patch

    keys = [
        Patch(facecolor=colour, hatch=hatch, edgecolor=INK, lw=0.3, label=label)
        for label, (colour, hatch) in shades.items()
    ]
    figure.legend(
        handles=keys, ncols=keys_a_row, loc="outside upper center", handlelength=1.1, columnspacing=0.8,
        handletextpad=0.3, borderpad=0.2,
    )  # fmt: skip
