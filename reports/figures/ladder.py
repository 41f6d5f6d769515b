"""What each step of a ladder brought: a waterfall of latencies, a panel a configuration."""

from collections.abc import Mapping, Sequence
from typing import Any

from steelyard.render.charts import Mark, few_ticks, labels, left_out, marks, stacked, whiskers
from steelyard.render.drawing import Drawing
from steelyard.render.style import BAND, FAINT, GRID, INK, ArmStyle, Look, arm_styles, short, shorts
from steelyard.tables.format import TIMES, decimals, fixed
from steelyard.tables.table import Column, ReportData, Row, Table


class Ladder:
    """Bars from the latency of the rung before to that of this one: filled where the verdict is faster or slower,
    hollow where the step is none. The first rung is a whole bar. Drawn of runs with `--ladder`.
    """

    name = "ladder"
    title = "Ladder"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the ladders of the run, below each other; of those of backends and those along an axis the kind that was
        asked for first, since one shows the latency of a call and the other that of an item."""
        tables = [table for table in data.tables if table.name.startswith("ladder-") and table.rows]
        if not tables:
            return Drawing(figure=None, reason="no ladder was asked for (bench run --ladder)")
        tables = [table for table in tables if _shown(table).key == _shown(tables[0]).key]
        panels = [
            (table, point, group)
            for table in tables
            for point, group in marks(table, _shown(table).key).items()
            if any(mark.value is not None for mark in group)
        ]
        if not panels:
            return Drawing(figure=None, reason="no rung of the ladder has a time")
        shown, styles = _shown(tables[0]), arm_styles(data.arms, data.baseline)
        figure, axes = stacked([group for *_, group in panels], look)
        for axis, (table, point, group) in zip(axes, panels, strict=False):
            axis.set_title(short(point, look.characters(look.column_in / look.across) - 18))
            rows = {row.tags["arm"]: row for row in table.rows if row.tags["point"] == point}
            _climb(axis, table, group, rows, styles, look)
            axis.grid(axis="x", color=GRID, lw=0.4)
        figure.supxlabel(shown.heading, fontsize=look.size_pt)
        titles = "; ".join(table.title for table in tables)
        return Drawing(
            figure=figure,
            caption=f"{titles} on {data.device}: {shown.title.casefold()} at each rung; filled bars: the step "
            "from the rung before is faster or slower by its verdict, hollow bars: no such verdict. "
            f"{tables[0].basis} of latency.{left_out(len(axes), len(panels))}",
            columns=("ladder", "point", "rung", shown.key, "step", "step_low", "step_high", "verdict"),
            rows=tuple(
                (
                    *(table.name, row.tags["point"], row.tags["arm"], table.cell(row, shown.key).value),
                    *table.cell(row, "step").numbers,
                    row.tags["verdict"],
                )
                for table in tables
                for row in table.rows
            ),
            alternative="Waterfall of latencies, one bar a rung; the numbers are in the table of the ladder.",
        )


def _shown(table: Table) -> Column:
    """The latency of an item where the table has it, else that of a call."""
    items = [column for column in table.columns if column.key == "item_s"]
    return items[0] if items else table.columns[table.index("latency_s")]


def _climb(
    axis: Any, table: Table, group: Sequence[Mark], rows: Mapping[str, Row], styles: Mapping[str, ArmStyle], look: Look
) -> None:
    """Bars of one ladder at one configuration."""
    ends: list[tuple[float, str]] = []
    before: float | None = None
    for position, mark in enumerate(group):
        if mark.value is None:
            _note(axis, 0.0, position, mark.word, look, color=FAINT, style="italic")
            continue
        row = rows[mark.arm]
        step, verdict = table.cell(row, "step").value, row.tags["verdict"]
        colour = styles[row.tags.get("backend", mark.arm)].colour
        _bar(axis, position, before, mark.value, colour, verdict in ("faster", "slower"))
        end = max(mark.value, before or 0.0, mark.high or 0.0)
        ends.append((end, _text(mark, step, verdict)))
        _note(axis, end, position, ends[-1][1], look, color=INK)
        before = mark.value
    whiskers(axis, group)
    labels(axis, group)
    axis.set_xlim(0, _room(ends, max(len(name) for name in shorts(mark.arm for mark in group).values()), look))
    axis.xaxis.set_major_locator(few_ticks())


def _room(ends: Sequence[tuple[float, str]], longest: int, look: Look) -> float:
    """Where the axis ends, so that what stands behind each bar fits; tick labels have up to the `longest` letters."""
    width_in = look.column_in / look.across - look.inches(longest)
    return max(end / max(0.2, 1 - look.inches(len(text) + 1) / width_in) for end, text in ends)


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
