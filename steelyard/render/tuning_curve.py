"""The figure of a search: the best candidate so far against trials and time, beside what was measured in turns."""

from collections.abc import Sequence
from typing import Any

from steelyard.core.tuning import SHARE
from steelyard.render.charts import log_axis
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.labels import End, at_ends
from steelyard.render.style import FAINT, GRID, INK, Look, short
from steelyard.tables.table import ReportData

_CURVE = "#0072B2"


class TuningCurve:
    """Two panels with one scale of time a call: by the number of trials, and by the seconds that they took. Lines
    across stand for the backends that were measured in turns afterwards, a ring where 95 % of the final speed was
    reached."""

    name = "tuning"
    title = "Best so far"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the table of the best so far, and that of what was measured afterwards."""
        table, worth = data.table("tuning"), data.table("tuning-worth")
        if not table.rows:
            return Drawing(figure=None, reason=table.empty)
        trials, seconds, latencies = (
            [table.cell(row, key).value or 0.0 for row in table.rows] for key in ("trials", "spent", "latency")
        )
        lines = [
            (row.tags["arm"], value) for row in worth.rows if (value := worth.cell(row, "latency").value) is not None
        ]
        near = next(place for place, value in enumerate(latencies) if latencies[-1] >= SHARE * value)
        height = look.scale * 1.9
        figure = new_figure(look.column_in, height)
        axes = figure.subplots(1, 2)
        for axis, places, label in zip(axes, (trials, seconds), ("trials", "search [s]"), strict=True):
            _panel(axis, places, latencies, lines, near)
            axis.set_xlabel(label)
        every = [1e3 * value for value in (*latencies, *(value for _, value in lines))]
        for axis in axes:
            log_axis(axis, "y", min(every) / 1.25, max(every) * 1.25)
        axes[1].tick_params(labelleft=False)
        figure.supylabel("time of a call [ms]", fontsize=look.size_pt)
        ends = [End(text=arm, x=axes[1].get_xlim()[1], y=1e3 * value, colour=INK) for arm, value in lines]
        at_ends(axes[1], ends, look, 0.75 * height)
        title = short(data.title, look.characters(look.column_in))
        figure.suptitle(title, x=0.01, ha="left", fontsize=look.size_pt, fontweight="bold")
        return Drawing(
            figure=figure,
            caption=f"{table.caption} The ring is the first step with 95 % of the final speed; lines across are median "
            f"calls measured in turns after the search, on {data.device}.",
            columns=("trials", "seconds", "best_so_far_s"),
            rows=tuple(zip(trials, seconds, latencies, strict=True)),
            alternative="A falling curve of the best time of a call against trials and against seconds, with lines for "
            "the backends that were measured afterwards; the numbers are in the tables.",
        )


def _panel(
    axis: Any, places: Sequence[float], latencies: Sequence[float], lines: Sequence[tuple[str, float]], near: int
) -> None:
    for number, (_, value) in enumerate(lines):
        axis.axhline(1e3 * value, color=FAINT, lw=0.8, ls=("--", ":", "-.")[number % 3], zorder=1)
    called = [1e3 * value for value in latencies]
    axis.step(places, called, where="post", color=_CURVE, lw=1.2, zorder=3)
    axis.plot([places[near]], [called[near]], marker="o", mfc="none", mec=INK, ms=5, ls="none", zorder=4)
    axis.set_xlim(left=0)
    axis.grid(color=GRID, lw=0.4)


FIGURE = TuningCurve()
