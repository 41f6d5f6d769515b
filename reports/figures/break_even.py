"""After how many calls a compiler has made good its start: the cost of n calls over that of the baseline."""

from itertools import groupby

from steelyard.render.charts import log_axis
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.labels import End, at_ends
from steelyard.render.style import GRID, INK, Look, arm_styles, short
from steelyard.tables.format import TIMES
from steelyard.tables.table import ReportData


class BreakEvenFigure:
    """Above the line a backend has cost more time than the baseline, below it less; marks stand where it crosses."""

    name = "break_even"
    title = "Break-even"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the table of the cost of a number of calls."""
        table = data.table("amortised")
        if not table.rows:
            return Drawing(figure=None, reason=table.empty)
        styles = arm_styles(data.arms, data.baseline)
        height = look.scale * 1.9
        figure = new_figure(look.column_in, height)
        axis = figure.subplots()
        ends, heights = [], [1.0]
        for arm, group in groupby(table.rows, key=lambda row: row.tags["arm"]):
            rows = list(group)
            calls = [table.cell(row, "calls").value or 1.0 for row in rows]
            costs = [table.cell(row, "over_baseline").value or 1.0 for row in rows]
            style = styles[arm]
            axis.plot(calls, costs, color=style.colour, ls=style.line)
            ends.append(End(text=arm, x=calls[-1], y=costs[-1], colour=style.colour))
            heights += costs
            crossing = table.cell(rows[0], "break_even").value
            if crossing is not None and 1 <= crossing <= calls[-1]:
                axis.plot([crossing], [1.0], marker=style.marker, color=style.colour, mec=INK, mew=0.4, zorder=6)
        log_axis(axis, "x", 1, calls[-1])
        log_axis(axis, "y", min(heights) / 1.12, max(heights) * 1.12, suffix=TIMES)
        at_ends(axis, ends, look, 0.75 * height)
        axis.set_xlabel("calls")
        axis.set_ylabel(f"time over that of {short(data.baseline, 12)}")
        axis.grid(color=GRID, lw=0.4)
        point = table.rows[0].tags["point"]
        axis.set_title(short(point, look.characters(look.column_in) - 10))
        return Drawing(
            figure=figure,
            caption=f"Time to compile (warm caches), for the first run and for n further calls of {point} over that of "
            f"{data.baseline}, on {data.device}. Below 1 the start has been made good; marks stand at the break-even. "
            f"Behind the curves stand {table.basis}; the curves carry none.",
            columns=("point", "backend", "calls", "spent_s", "over_baseline", "break_even_calls"),
            rows=tuple(
                (
                    *(row.tags["point"], row.tags["arm"]),
                    *(table.cell(row, key).value for key in ("calls", "spent_s", "over_baseline", "break_even")),
                )
                for row in table.rows
            ),
            alternative="Curves of accumulated time over that of the baseline, one per backend, against the number of "
            "calls; break-even calls are in the start-up table.",
        )


FIGURE = BreakEvenFigure()
