"""What starting costs, and after how many calls it pays."""

import math
from typing import Any

from steelyard.tables.charts import Mark, labels, log_ticks, marks
from steelyard.tables.drawing import Drawing, new_figure
from steelyard.tables.format import decimals, fixed
from steelyard.tables.style import COLUMN_WIDTH_IN, FAINT, GRID, INK, ArmStyle, arm_styles, short
from steelyard.tables.table import ReportData, Row, Table

PHASES = (
    ("import_s_warm", "import"),
    ("load_s_warm", "load"),
    ("compile_s_warm", "compile"),
    ("first_run_s_warm", "first run"),
)
SHADES = ("#bbbbbb", "#7f7f7f", "#0072B2", "#E69F00")
HATCHES = ("", "....", "////", "xxxx")


class Compilation:
    """Above: the phases of a warm start, and the cold compile time as a mark. Below: time spent after n calls."""

    name = "compilation"
    title = "Start-up and break-even"

    def draw(self, data: ReportData) -> Drawing:
        """Draw the start-up table and, for the point that it is about, the latencies."""
        table = data.table("startup")
        point = next((row.tags["point"] for row in table.rows), None)
        if point is None:
            return Drawing(figure=None, reason=table.empty)
        rows = [row for row in table.rows if row.tags["point"] == point]
        steady = {
            mark.arm: mark.value / 1e3
            for speed in data.speed_tables()
            for mark in marks(speed, "latency_s").get(point, [])
            if mark.value is not None
        }
        styles = arm_styles(data.arms, data.baseline)
        figure = new_figure(COLUMN_WIDTH_IN, 0.75 + 0.17 * len(rows) + 1.75)
        upper, lower = figure.subplots(2, 1, height_ratios=[0.45 + 0.17 * len(rows), 1.6])
        self._phases(upper, table, rows)
        upper.set_title(short(point, 60))
        curves = self._curves(lower, table, rows, steady, styles, data.baseline)
        written = [
            (
                *(row.tags["arm"], *(table.cell(row, key).value for key, _ in PHASES)),
                *(table.cell(row, "compile_s_cold").value, steady.get(row.tags["arm"])),
                table.cell(row, "break_even_warm").value,
            )
            for row in rows
        ]
        return Drawing(
            figure=figure,
            caption=f"Start-up of {point} on {data.device}. Above: phases of a start with warm compile "
            f"caches; the diamond is the cold compile time (one launch). Below: time to compile (warm), for "
            f"the first run and for n further calls; dots mark where a backend has made good its start "
            f"against {data.baseline}." + ("" if curves else " No latency is known, so that there are no curves."),
            columns=("backend", *(key for key, _ in PHASES), "compile_s_cold", "latency_s", "break_even_calls"),
            rows=tuple(written),
            alternative="Stacked bars of start-up phases and curves of time over calls; the numbers are in "
            "the start-up table.",
        )

    def _phases(self, axis: Any, table: Table, rows: list[Row]) -> None:
        farthest = 0.0
        for position, row in enumerate(rows):
            left = 0.0
            for (key, _), shade, hatch in zip(PHASES, SHADES, HATCHES, strict=True):
                value = table.cell(row, key).value
                if value is not None:
                    axis.barh(position, value, left=left, height=0.66, color=shade, edgecolor=INK, hatch=hatch)
                    left += value
            cold = table.cell(row, "compile_s_cold").value
            if cold:
                axis.plot([cold], [position], marker="D", color="white", mec=INK, mew=0.8, ls="none", ms=3.5, zorder=6)
            word = "" if left else row.tags["status"].replace("_", " ")
            text = f"{fixed(left, decimals(left))}" if left else word
            axis.annotate(text, (1, position), (-2, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                          ha="right", va="center", fontsize=6, color=INK if left else FAINT)  # fmt: skip
            farthest = max(farthest, left, cold or 0.0)
        labels(axis, [Mark(arm=row.tags["arm"], point="", value=None) for row in rows])
        axis.set_xlim(0, (farthest or 1.0) * 1.2)
        axis.set_xlabel("seconds")
        axis.grid(axis="x", color=GRID, lw=0.4)
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        keys: list[Any] = [
            Patch(facecolor=shade, edgecolor=INK, hatch=hatch, label=name)
            for (_, name), shade, hatch in zip(PHASES, SHADES, HATCHES, strict=True)
        ]
        cold_key = Line2D([], [], marker="D", color="white", mec=INK, mew=0.8, ls="none", ms=3.5, label="compile, cold")
        axis.figure.legend(handles=[*keys, cold_key], ncols=5, loc="outside upper center", handlelength=1.1,
                           columnspacing=0.8, handletextpad=0.3, borderpad=0.2, fontsize=6)  # fmt: skip

    def _curves(
        self,
        axis: Any,
        table: Table,
        rows: list[Row],
        steady: dict[str, float],
        styles: dict[str, ArmStyle],
        baseline: str,
    ) -> int:
        starts = {}
        for row in rows:
            parts = [table.cell(row, key).value for key in ("compile_s_warm", "first_run_s_warm")]
            if row.tags["arm"] in steady and None not in parts:
                starts[row.tags["arm"]] = sum(part for part in parts if part is not None)
        crossings = {row.tags["arm"]: table.cell(row, "break_even_warm").value for row in rows}
        known = [value for arm, value in crossings.items() if value and arm in starts]
        last = 10 ** math.ceil(math.log10(max([100.0, *(3 * value for value in known)])))
        calls = [10 ** (step / 24 * math.log10(last)) for step in range(25)]
        ends = []
        for arm, start in starts.items():
            style = styles[arm]
            times = [start + count * steady[arm] for count in calls]
            axis.plot(calls, times, color=style.colour, ls=style.line)
            ends.append((math.log10(times[-1]), times[-1], arm))
            crossing = crossings[arm]
            if crossing and arm != baseline and crossing >= 1:
                spent = start + crossing * steady[arm]
                axis.plot([crossing], [spent], marker=style.marker, color=style.colour, mec=INK, mew=0.4, zorder=6)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlim(1, last * 8)
        log_ticks(axis.xaxis, 1, last)
        bottom, top = axis.get_ylim()
        log_ticks(axis.yaxis, bottom, top)
        span = math.log10(top / bottom)
        previous = -math.inf
        for height, end, arm in sorted(ends):
            place = max(height, previous + span * 0.075)
            previous = place
            axis.annotate(short(arm), (last, end), (last * 1.25, 10**place), va="center", fontsize=6,
                          arrowprops={"arrowstyle": "-", "lw": 0.4, "color": styles[arm].colour})  # fmt: skip
        axis.set_xlabel("calls")
        axis.set_ylabel("time spent [s]")
        axis.grid(color=GRID, lw=0.4)
        return len(starts)


FIGURE = Compilation()
