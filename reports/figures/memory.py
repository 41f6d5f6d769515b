"""Peak memory of the process by phase, a line per backend."""

from steelyard.tables.charts import left_out
from steelyard.tables.drawing import Drawing, new_figure
from steelyard.tables.format import factor
from steelyard.tables.labels import End, at_ends
from steelyard.tables.style import GRID, INK, Look, arm_styles, short
from steelyard.tables.table import ReportData

METRIC = "host_peak_bytes"
PANELS = 3


class Memory:
    """Peaks of the phases apart, in time order; labels stand at the end of each line."""

    name = "memory"
    title = "Memory by phase"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the host peaks of the memory table."""
        table = data.table("memory")
        keys = [column.key for column in table.columns if column.key.startswith(f"{METRIC}/")]
        points = list(dict.fromkeys(row.tags["point"] for row in table.rows))
        if not keys or not points:
            return Drawing(figure=None, reason=table.empty or "no launch read its memory")
        height = 1.5 * look.scale
        chosen = points[: max(1, min(PANELS, int(look.height_in / height)))]
        gib = factor("B", "GiB")
        styles = arm_styles(data.arms, data.baseline)
        figure = new_figure(look.column_in, height * len(chosen))
        axes = [row[0] for row in figure.subplots(len(chosen), 1, squeeze=False)]
        rows: list[tuple[str | float | None, ...]] = []
        for axis, point in zip(axes, chosen, strict=True):
            ends: list[End] = []
            for row in table.rows:
                if row.tags["point"] != point:
                    continue
                arm, style = row.tags["arm"], styles[row.tags["arm"]]
                values = [table.cell(row, key).value for key in keys]
                scaled = [None if value is None else value * gib for value in values]
                known = [(place, value) for place, value in enumerate(scaled) if value is not None]
                if known:
                    axis.plot([place for place, _ in known], [value for _, value in known], color=style.colour,
                              ls=style.line, marker=style.marker, mec=INK, mew=0.3)  # fmt: skip
                    ends.append(End(text=arm, x=known[-1][0], y=known[-1][1], colour=style.colour))
            axis.set_ylim(0, axis.get_ylim()[1] * 1.05)
            axis.set_xticks(range(len(keys)), [key.partition("/")[2].replace("_", "\n") for key in keys])
            axis.set_xlim(-0.3, len(keys) - 0.7)
            at_ends(axis, ends, look, 0.75 * height)
            axis.set_ylabel("host peak [GiB]")
            axis.set_title(short(point, look.characters(look.column_in) - 10))
            axis.grid(axis="y", color=GRID, lw=0.4)
        for row in table.rows:
            for key in keys:
                cell = table.cell(row, key)
                rows.append((row.tags["point"], row.tags["arm"], key.partition("/")[2], cell.value))
        return Drawing(
            figure=figure,
            caption=f"Peak resident memory of the process in each phase apart, on {data.device}, of the "
            f"workload that ran first in its launch; {table.basis}.{left_out(len(chosen), len(points))}",
            columns=("point", "backend", "phase", "host_peak_bytes"),
            rows=tuple(rows),
            alternative="Lines of peak memory by phase, one per backend; the numbers are in the memory table.",
        )


FIGURE = Memory()
