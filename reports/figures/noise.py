"""Drift and noise: every launch in time order, and the control arm against the baseline."""

from statistics import median
from typing import Any

from steelyard.render.charts import Mark, key_columns, labels
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.style import BAND, FAINT, GRID, INK, Look, arm_styles, short, shorts
from steelyard.tables.format import factor
from steelyard.tables.table import ReportData

PANELS = 8
CLOCK = "clock"


class NoiseFigure:
    """Above: medians of launches of the headline workload over each backend's own middle. Below: control / baseline."""

    name = "noise"
    title = "Noise and time order"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the table of launches and that of the control arm."""
        launches, control = data.table("launches"), data.table("control")
        points = [table.rows[0].tags["point"] for table in data.speed_tables() if table.rows]
        taken = [
            row
            for row in launches.rows
            if points and row.tags["point"] == points[0] and row.tags["metric"] == "latency_s"
            and (launches.cell(row, "round").value or 0) > 0 and launches.cell(row, "median_s").value is not None
        ]  # fmt: skip
        if not taken:
            return Drawing(figure=None, reason="no warm launch of the headline workload gave a median")
        ratios = [row for row in control.rows if row.tags["metric"] == "latency_s" and control.cell(row, "ratio").value]
        ratios = ratios[:PANELS]
        names = shorts(dict.fromkeys(row.tags["arm"] for row in taken))
        clock = _clock(launches, taken)
        entries = [*names.values(), *([CLOCK] if clock else [])]
        height = (
            1.35 + 0.1 * -(-len(entries) // key_columns(entries, look)) + (0.5 + 0.15 * len(ratios) if ratios else 0.0)
        )
        figure = new_figure(look.column_in, look.scale * height)
        if ratios:
            upper, lower = figure.subplots(2, 1, height_ratios=[1.3, 0.35 + 0.15 * len(ratios)])
            self._control(lower, control, ratios, look)
        else:
            upper = figure.subplots()
        if clock:
            minutes, _, times = zip(*clock, strict=True)
            shares = [100 * (ratio - 1) for ratio in times]
            upper.plot(minutes, shares, color=FAINT, lw=0.8, label=CLOCK, zorder=1)
        written = self._order(upper, data, launches, taken, look, names)
        written += [(CLOCK, number, minute, ratio) for minute, number, ratio in clock]
        upper.set_title(short(points[0], look.characters(look.column_in) - 10))
        line = " The line: the time of the spin meter's loop likewise, which is what the clock did." if clock else ""
        return Drawing(
            figure=figure,
            caption=f"Above: the median of each launch of {points[0]} over the middle of its backend's "
            f"launches, in time order on {data.device}; a slope or a step that all backends share is drift of "
            f"the machine.{line} Below: the baseline launched a second time over the baseline, with intervals "
            f"({_pairs(control, ratios)}); the end that lies farther from 0 is the noise floor, the band the margin of "
            f"equivalence."
            if ratios
            else f"The median of each launch of {points[0]} over the middle of its backend's launches, in "
            f"time order on {data.device}; {control.empty}.{line}",
            columns=("backend", "round", "started_min", "median_over_middle"),
            rows=tuple(written),
            alternative="Scatter of launch medians over time, and intervals of the control arm; the numbers are in the "
            "table of the control arm and in the CSV of launches.",
        )

    def _order(
        self, axis: Any, data: ReportData, launches: Any, taken: list[Any], look: Look, names: dict[str, str]
    ) -> list[tuple[Any, ...]]:
        styles = arm_styles(data.arms, data.baseline)
        minutes = factor("s", "min")
        by_arm: dict[str, list[tuple[float, float, float]]] = {}
        for row in taken:
            place = [launches.cell(row, key).value for key in ("started_s", "median_s", "round")]
            by_arm.setdefault(row.tags["arm"], []).append((place[0], place[1], place[2]))
        written = []
        for arm in sorted(by_arm, key=lambda arm: data.arms.index(arm) if arm in data.arms else len(data.arms)):
            places = by_arm[arm]
            middle = median(value for _, value, _ in places)
            style = styles.get(arm, styles[data.baseline])
            times = [start * minutes for start, _, _ in places]
            shares = [100 * (value / middle - 1) for _, value, _ in places]
            hollow = arm not in styles
            axis.plot(times, shares, ls="none", marker=style.marker, ms=3.2, mec=style.colour if hollow else INK,
                      mfc="none" if hollow else style.colour, mew=0.8 if hollow else 0.3, label=names[arm])  # fmt: skip
            written += [(arm, number, start * minutes, value / middle) for start, value, number in places]
        axis.axhline(0, color=INK, lw=0.5)
        axis.set_xlabel("minutes since the run began")
        axis.set_ylabel("from the middle [%]")
        axis.grid(color=GRID, lw=0.4)
        columns = key_columns([str(line.get_label()) for line in axis.get_legend_handles_labels()[0]], look)
        axis.figure.legend(ncols=columns, loc="outside upper center", handletextpad=0.1, columnspacing=0.8,
                           borderpad=0.2, labelspacing=0.2, fontsize=look.small_pt)  # fmt: skip
        return written

    def _control(self, axis: Any, control: Any, ratios: list[Any], look: Look) -> None:
        axis.axvspan(-2, 2, color=BAND, lw=0)
        axis.axvline(0, color=INK, lw=0.5)
        reach = 3.0
        for position, row in enumerate(ratios):
            cell = control.cell(row, "ratio")
            value = 100 * (cell.value - 1)
            if cell.interval is None:
                axis.annotate("no interval", (value, position), (6, 0), textcoords="offset points", va="center",
                              color=FAINT, fontsize=look.small_pt)  # fmt: skip
            else:
                low, high = 100 * (cell.interval.low - 1), 100 * (cell.interval.high - 1)
                axis.plot([low, high], [position, position], color=INK, lw=0.9, solid_capstyle="butt")
                reach = max(reach, abs(low), abs(high))
            axis.plot([value], [position], marker="o", ms=3.2, color="white", mec=INK, mew=0.8)
            reach = max(reach, abs(value))
        labels(axis, [Mark(arm=row.tags["point"], point="", value=None) for row in ratios])
        axis.set_xlim(-1.1 * reach, 1.1 * reach)
        axis.set_xlabel("control against baseline [%]")
        axis.grid(axis="x", color=GRID, lw=0.4)


def _clock(launches: Any, taken: list[Any]) -> list[tuple[float, float, float]]:
    """Minutes, round, and the time of the spin meter's loop over its middle, of each launch in time order."""
    cells = [tuple(launches.cell(row, key).value for key in ("started_s", "round", "clock")) for row in taken]
    read = sorted(place for place in cells if place[2] is not None)
    middle = median(speed for *_, speed in read) if read else 1.0
    return [(started_s * factor("s", "min"), number, middle / speed) for started_s, number, speed in read]


def _pairs(control: Any, ratios: list[Any]) -> str:
    counts = {int(control.cell(row, "pairs").value) for row in ratios}
    return (
        f"n = {min(counts)} to {max(counts)} paired rounds" if len(counts) > 1 else f"n = {min(counts)} paired rounds"
    )


FIGURE = NoiseFigure()
