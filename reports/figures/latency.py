"""Latency of every backend with its interval, a panel per workload."""

from steelyard.tables.charts import PANELS, bars, left_out, marks, stacked
from steelyard.tables.drawing import Drawing
from steelyard.tables.style import arm_styles, short
from steelyard.tables.table import ReportData


class Latency:
    """Bars from zero, or dots on a log axis where the slowest is 20 times the fastest; whiskers are intervals."""

    name = "latency"
    title = "Latency"

    def draw(self, data: ReportData) -> Drawing:
        """Draw the latency columns of the speed tables."""
        groups = {point: group for table in data.speed_tables() for point, group in marks(table, "latency_s").items()}
        if not any(mark.value is not None for group in groups.values() for mark in group):
            return Drawing(figure=None, reason="no backend gave a latency")
        chosen = list(groups.items())[:PANELS]
        styles = arm_styles(data.arms, data.baseline)
        figure, axes = stacked([group for _, group in chosen])
        for axis, (point, group) in zip(axes, chosen, strict=True):
            axis.set_title(short(point, 60))
            bars(axis, group, styles)
        axes[-1].set_xlabel("latency of a call [ms] (lower is better)")
        rows = tuple((m.point, m.arm, m.value, m.low, m.high, m.word) for group in groups.values() for m in group)
        return Drawing(
            figure=figure,
            caption=f"Latency per call on {data.device}; whiskers are the intervals of the speed tables; bold "
            f"values are those that the tables set in bold.{left_out(len(chosen), len(groups))}",
            columns=("point", "backend", "latency_ms", "low_ms", "high_ms", "without_value"),
            rows=rows,
            alternative=f"Horizontal bars of latency in milliseconds for {len(data.arms)} backends and "
            f"{len(chosen)} workload points; the numbers are in the speed tables.",
        )


FIGURE = Latency()
