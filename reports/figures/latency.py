"""Latency of every backend with its interval, a panel per workload."""

from steelyard.render.charts import approximated, bars, far_apart, left_out, marks, stacked
from steelyard.render.drawing import Drawing
from steelyard.render.style import Look, arm_styles, short
from steelyard.tables.table import ReportData


class Latency:
    """Bars from zero, or dots on log axes where in any panel the slowest is 20 times the fastest; whiskers are
    intervals. Throughput would be the same picture mirrored, so that it has no figure of its own: tables
    print it, and the figure of throughput against batch and context shows how it grows.
    """

    name = "latency"
    title = "Latency"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the latency columns of the speed tables."""
        tables = data.speed_tables()
        groups = {point: group for table in tables for point, group in marks(table, "latency_s").items()}
        if not any(mark.value is not None for group in groups.values() for mark in group):
            return Drawing(figure=None, reason="no backend gave a latency")
        styles = arm_styles(data.arms, data.baseline)
        figure, axes = stacked(list(groups.values()), look)
        logarithmic = far_apart(groups.values())
        for axis, (point, group) in zip(axes, groups.items(), strict=False):
            axis.set_title(short(point, look.characters(look.column_in / look.across) - 18))
            bars(axis, group, styles, look, reference=data.baseline, logarithmic=logarithmic)
        figure.supxlabel("latency of a call [ms] (lower is better)", fontsize=look.size_pt)
        rows = tuple((m.point, m.arm, m.value, m.low, m.high, m.word) for group in groups.values() for m in group)
        return Drawing(
            figure=figure,
            caption=f"Latency of a call on {data.device}; {tables[0].basis}, drawn as whiskers. The dashed line is "
            f"{data.baseline}; bold values are those that the tables set in bold.{left_out(len(axes), len(groups))}"
            f"{approximated(groups.values())}",
            columns=("point", "backend", "latency_ms", "low_ms", "high_ms", "without_value"),
            rows=rows,
            alternative=f"Horizontal bars of latency in milliseconds for {len(data.arms)} backends and "
            f"{len(axes)} configurations; the numbers are in the speed tables.",
        )


FIGURE = Latency()
