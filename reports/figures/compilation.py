"""What starting costs, and after how many calls it pays."""

import math
from collections.abc import Mapping
from typing import Any

from steelyard.tables.charts import Mark, labels, log_ticks
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
        """Draw the start-up table and the latencies of the point of which most is known, the first among equals."""
        table = data.table("startup")
        points = list(dict.fromkeys(row.tags["point"] for row in table.rows))
        if not points:
            return Drawing(figure=None, reason=table.empty)
        latencies = _latencies(data)
        known = {point: self._starts(table, _about(table, point), latencies) for point in points}
        point = max(points, key=lambda point: len(known[point]))
        rows, starts = _about(table, point), known[point]
        figure = new_figure(COLUMN_WIDTH_IN, 0.75 + 0.17 * len(rows) + (1.75 if starts else 0.0))
        caption = (
            f"Start-up of {point} on {data.device}: phases of a start with warm compile caches; the diamond "
            f"is the cold compile time (one launch)."
        )
        if starts:
            upper, lower = figure.subplots(2, 1, height_ratios=[0.45 + 0.17 * len(rows), 1.6])
            steady = {arm: latencies[point, arm] for arm in starts}
            self._curves(lower, table, rows, starts, steady, arm_styles(data.arms, data.baseline))
            caption += (
                " Below: time to compile (warm), for the first run and for n further calls; marks show where a backend "
                f"has made good its start against {data.baseline}."
            )
        else:
            upper = figure.subplots()
        self._phases(upper, table, rows)
        upper.set_title(short(point, 60))
        written = [
            (
                *(row.tags["arm"], *(table.cell(row, key).value for key, _ in PHASES)),
                *(table.cell(row, "compile_s_cold").value, latencies.get((point, row.tags["arm"]))),
                table.cell(row, "break_even_warm").value,
            )
            for row in rows
        ]
        return Drawing(
            figure=figure,
            caption=caption,
            columns=("backend", *(key for key, _ in PHASES), "compile_s_cold", "latency_s", "break_even_calls"),
            rows=tuple(written),
            alternative="Stacked bars of start-up phases and curves of time over calls; the numbers are in "
            "the start-up table.",
        )

    def _starts(self, table: Table, rows: list[Row], latencies: Mapping[tuple[str, str], float]) -> dict[str, float]:
        """Seconds to compile (warm) and run once, of the backends whose latency is known too."""
        starts = {}
        for row in rows:
            parts = [table.cell(row, key).value for key in ("compile_s_warm", "first_run_s_warm")]
            if (row.tags["point"], row.tags["arm"]) in latencies and None not in parts:
                starts[row.tags["arm"]] = sum(part for part in parts if part is not None)
        return starts

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
            word = row.tags["status"].replace("_", " ") if row.tags["status"] != "ok" else "no warm start"
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
        starts: dict[str, float],
        steady: dict[str, float],
        styles: dict[str, ArmStyle],
    ) -> None:
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
            if crossing and crossing >= 1:
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
            line = {"arrowstyle": "-", "lw": 0.4, "color": styles[arm].colour, "relpos": (0, 0.5)}
            axis.annotate(short(arm), (last, end), (last * 1.25, 10**place), va="center", fontsize=6, arrowprops=line)
        axis.set_xlabel("calls")
        axis.set_ylabel("time spent [s]")
        axis.grid(color=GRID, lw=0.4)


def _about(table: Table, point: str) -> list[Row]:
    return [row for row in table.rows if row.tags["point"] == point]


def _latencies(data: ReportData) -> dict[tuple[str, str], float]:
    """Seconds of a call by point and backend."""
    return {
        (row.tags["point"], row.tags["arm"]): value
        for table in data.speed_tables()
        for row in table.rows
        if (value := table.cell(row, "latency_s").value) is not None
    }


FIGURE = Compilation()
