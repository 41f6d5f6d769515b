"""Power over time of one launch of each backend: idle, the calls, idle again."""

from steelyard.render.charts import not_drawn
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.style import BAND, FAINT, GRID, Look, arm_styles, short, shorts
from steelyard.tables.table import ReportData


class Power:
    """A step line per backend, in panels above each other; the grey band is the window of calls."""

    name = "power"
    title = "Power over time"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the table of power."""
        table = data.table("power")
        if not table.rows:
            return Drawing(figure=None, reason=table.empty)
        arms = list(dict.fromkeys(row.tags["arm"] for row in table.rows))
        names = shorts(arms)
        height = 0.6 * look.scale
        chosen = arms[: max(1, int((look.height_in - 0.4 * look.scale) / height))]
        styles = arm_styles(data.arms, data.baseline)
        figure = new_figure(look.column_in, 0.4 * look.scale + height * len(chosen))
        axes = figure.subplots(len(chosen), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axis, arm in zip(axes, chosen, strict=True):
            rows = [row for row in table.rows if row.tags["arm"] == arm]
            begins = [table.cell(row, "begin_s").value or 0.0 for row in rows]
            ends = [table.cell(row, "end_s").value or 0.0 for row in rows]
            watts = [table.cell(row, "watts").value for row in rows]
            active = [end for row, end in zip(rows, ends, strict=True) if table.cell(row, "phase").text == "calls"]
            if active:
                axis.axvspan(0, max(active), color=BAND, lw=0, zorder=0)
            axis.stairs(
                watts, [*begins, ends[-1]], color=styles[arm].colour, ls=styles[arm].line, lw=0.9, baseline=None
            )
            axis.annotate(names[arm], (1.015, 0.5), xycoords="axes fraction", ha="left", va="center",
                          fontsize=look.small_pt)  # fmt: skip
            axis.axvline(0, color=FAINT, lw=0.4)
            axis.grid(axis="y", color=GRID, lw=0.4)
        axes[0].set_ylim(0, None)
        axes[0].set_title(short(table.rows[0].tags["point"], look.characters(look.column_in) - 12))
        axes[-1].set_xlabel("time from the first call [s]")
        figure.supylabel("power [W]", fontsize=look.size_pt)
        more = not_drawn(len(arms) - len(chosen))
        about = table.rows[0].tags
        return Drawing(
            figure=figure,
            caption=f"Power of {about['boundary']} on {data.device} over the energy window of one launch of each "
            f"backend (its last round): idle, the calls of {about['point']} (grey), idle; n = 1 launch, no interval."
            f"{more}",
            columns=("backend", "round", "begin_s", "end_s", "phase", "power_w"),
            rows=tuple(
                (
                    row.tags["arm"],
                    row.tags["round"],
                    table.cell(row, "begin_s").value,
                    table.cell(row, "end_s").value,
                    table.cell(row, "phase").text,
                    table.cell(row, "watts").value,
                )
                for row in table.rows
            ),
            alternative="Step lines of power over time, one per backend; the numbers are in the CSV of the figure.",
        )


FIGURE = Power()
