"""What each step of a ladder brought: a waterfall of latencies, a panel a configuration."""

from typing import Any

from steelyard.render.charts import Mark, few_ticks, labels, left_out, marks, stacked, whiskers
from steelyard.render.drawing import Drawing
from steelyard.render.style import BAND, FAINT, GRID, INK, Look, arm_styles, short
from steelyard.tables.format import TIMES, decimals, fixed
from steelyard.tables.table import ReportData


class Ladder:
    """Bars from the latency of the rung before to that of this one: filled where the verdict is faster or slower,
    hollow where the step is none. The first rung is a whole bar. Drawn of runs with `--ladder`.
    """

    name = "ladder"
    title = "Ladder"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the first ladder of the run."""
        tables = [table for table in data.tables if table.name.startswith("ladder-") and table.rows]
        if not tables:
            return Drawing(figure=None, reason="no ladder was asked for (bench run --ladder)")
        table = tables[0]
        items = [column for column in table.columns if column.key == "item_s"]
        shown = items[0] if items else table.columns[table.index("latency_s")]
        groups = marks(table, shown.key)
        drawn = {point: group for point, group in groups.items() if any(mark.value is not None for mark in group)}
        if not drawn:
            return Drawing(figure=None, reason="no rung of the ladder has a time")
        told = {(row.tags["point"], row.tags["arm"]): row for row in table.rows}
        styles = arm_styles(data.arms, data.baseline)
        figure, axes = stacked(list(drawn.values()), look)
        for axis, (point, group) in zip(axes, drawn.items(), strict=False):
            axis.set_title(short(point, look.characters(look.column_in / look.across) - 18))
            farthest = max(mark.high or mark.value or 0.0 for mark in group)
            before: float | None = None
            for position, mark in enumerate(group):
                if mark.value is None:
                    _note(axis, 0.0, position, mark.word, look, color=FAINT, style="italic")
                    continue
                row = told[point, mark.arm]
                step, verdict = table.cell(row, "step").value, row.tags["verdict"]
                colour = styles[row.tags.get("backend", mark.arm)].colour
                _bar(axis, position, before, mark.value, colour, verdict in ("faster", "slower"))
                end = max(mark.value, before or 0.0, mark.high or 0.0)
                _note(axis, end, position, _text(mark, step, verdict), look, color=INK)
                before = mark.value
            whiskers(axis, group)
            labels(axis, group)
            axis.set_xlim(0, farthest * 1.45)
            axis.xaxis.set_major_locator(few_ticks())
            axis.grid(axis="x", color=GRID, lw=0.4)
        figure.supxlabel(shown.heading, fontsize=look.size_pt)
        return Drawing(
            figure=figure,
            caption=f"{table.title} on {data.device}: {shown.title.casefold()} at each rung; filled bars: the step "
            "from the rung before is faster or slower by its verdict, hollow bars: no such verdict. "
            f"{table.basis} of latency."
            f"{left_out(len(axes), len(drawn))}",
            columns=("point", "rung", shown.key, "step", "step_low", "step_high", "verdict"),
            rows=tuple(
                (
                    *(row.tags["point"], row.tags["arm"], table.cell(row, shown.key).value),
                    *table.cell(row, "step").numbers,
                    row.tags["verdict"],
                )
                for row in table.rows
            ),
            alternative="Waterfall of latencies, one bar a rung; the numbers are in the table of the ladder.",
        )


def _bar(axis: Any, position: int, before: float | None, value: float, colour: str, filled: bool) -> None:
    """A whole bar for the first rung, else the piece between the rung before and this one on a pale one."""
    axis.barh([position], [value], height=0.7, color=colour if before is None else BAND, lw=0, zorder=1)
    if before is not None:
        low, width = min(before, value), abs(before - value)
        face = colour if filled else "white"
        axis.barh([position], [width], left=low, height=0.7, color=face, ec=colour, lw=0.6, zorder=2)


def _text(mark: Mark, step: float | None, verdict: str) -> str:
    value = fixed(mark.value, decimals(mark.value)) if mark.value is not None else ""
    return value if step is None else f"{value}  ({fixed(step, decimals(step))}{TIMES}, {verdict})"


def _note(axis: Any, x: float, position: int, text: str, look: Look, **how: Any) -> None:
    axis.annotate(text, (x, position), (4, 0), textcoords="offset points", va="center", fontsize=look.small_pt, **how)


FIGURE = Ladder()
