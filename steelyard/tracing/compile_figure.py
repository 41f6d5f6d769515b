"""The figure of compilations: a bar for each backend with empty and with full caches, divided by kind of phase."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.core.compilation import PHASE_KINDS
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.style import GRID, INK, Look, short
from steelyard.tables.format import duration
from steelyard.tables.table import ReportData
from steelyard.tracing.compilations import TITLES
from steelyard.tracing.figure import KEYS_A_ROW, LEGEND_IN, PANEL_IN, ROW_IN, legend

_MOST = 6
_UNNAMED = "unnamed"
_SHADES = {
    "trace": ("#56B4E9", ""),
    "lowering": ("#0072B2", ""),
    "passes": ("#F2C45A", ""),
    "codegen": ("#009E73", ""),
    "native": ("#D55E00", ""),
    "load": ("#8c8c8c", ""),
    "other": ("#c6c6c6", "////"),
    _UNNAMED: ("#ffffff", ""),
}
_TITLES = {**{str(kind): title for kind, title in TITLES.items()}, _UNNAMED: "No name"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bar:
    """A compilation: all of its seconds, and those of each kind of phase."""

    arm: str
    occasion: str
    seconds: float
    kinds: Mapping[str, float]


class CompilationTime:
    """Panels of configurations, at most six; in each a bar for each backend and occasion. All bars are as long as each
    other, for the times of such launches are told for their shares; the seconds stand at the end of each."""

    name = "compile_time"
    title = "Compile time"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the table of compilations."""
        panels: dict[str, list[_Bar]] = {}
        for title, bar in _bars(data):
            panels.setdefault(title, []).append(bar)
        if not panels:
            return Drawing(figure=None, reason="no launch told of a compilation")
        shown = dict(list(panels.items())[:_MOST])
        kinds = [kind for kind in _SHADES if any(bar.kinds.get(kind) for bars in shown.values() for bar in bars)]
        keys = -(-len(kinds) // KEYS_A_ROW)
        height = look.scale * (LEGEND_IN * keys + PANEL_IN * len(shown) + ROW_IN * sum(map(len, shown.values())))
        figure = new_figure(look.column_in, height)
        ratios = [len(bars) + 0.6 for bars in shown.values()]
        axes = figure.subplots(len(shown), 1, height_ratios=ratios, squeeze=False)
        for (axis,), (title, bars) in zip(axes, shown.items(), strict=True):
            _panel(axis, title, bars, look)
        legend(figure, {_TITLES[kind]: _SHADES[kind] for kind in kinds})
        left = f" {len(panels) - _MOST} more configurations are in the CSV." if len(panels) > _MOST else ""
        return Drawing(
            figure=figure,
            caption="Where compiling goes, in percent of the compile time, which stands beside each bar: with empty "
            f"caches (cold), with full ones (warm), once more in one process (again).{left}",
            columns=("point", "backend", "occasion", "compile_s", *_SHADES),
            rows=tuple(
                (title, bar.arm, bar.occasion, bar.seconds, *(bar.kinds.get(kind) for kind in _SHADES))
                for title, bars in panels.items()
                for bar in bars
            ),
            alternative="Stacked bars of the phases of compilations, one for each backend and state of caches; the "
            "numbers are in the table of compile times.",
        )


def _bars(data: ReportData) -> Iterator[tuple[str, _Bar]]:
    table = next((table for table in data.tables if table.name == "compilation"), None)
    for row in table.rows if table else ():
        assert table is not None
        seconds = table.cell(row, "compile").value
        if not seconds:
            continue
        known = {column.key for column in table.columns}
        kinds = {kind: table.cell(row, kind).value or 0.0 for kind in (*PHASE_KINDS, _UNNAMED) if kind in known}
        yield (
            table.cell(row, "point").text,
            _Bar(arm=row.tags["arm"], occasion=row.tags["occasion"], seconds=seconds, kinds=kinds),
        )


def _panel(axis: Any, title: str, bars: Sequence[_Bar], look: Look) -> None:
    for position, bar in enumerate(bars):
        left = 0.0
        for kind, (shade, hatch) in _SHADES.items():
            width = max(0.0, 100 * bar.kinds.get(kind, 0.0) / bar.seconds)
            axis.barh(position, width, left=left, height=0.72, color=shade, edgecolor=INK, hatch=hatch, linewidth=0.3)
            left += width
        axis.text(101, position, duration(bar.seconds), va="center")
    axis.set_yticks(range(len(bars)), [f"{bar.arm}, {bar.occasion}" for bar in bars])
    axis.set_ylim(len(bars) - 0.4, -0.6)
    axis.set_xlim(0, 118)
    axis.set_xticks(range(0, 101, 25))
    axis.set_xlabel("part of the compile time [%]")
    axis.set_title(short(title, look.characters(look.column_in) - 20))
    axis.grid(axis="x", color=GRID, lw=0.4)
