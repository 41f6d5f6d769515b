"""Throughput of every backend, a panel per workload."""

from steelyard.tables.charts import PANELS, bars, left_out, marks, stacked
from steelyard.tables.drawing import Drawing
from steelyard.tables.style import arm_styles, short
from steelyard.tables.table import ReportData


class Throughput:
    """Items per second, from the latency of a call and the items that it makes."""

    name = "throughput"
    title = "Throughput"

    def draw(self, data: ReportData) -> Drawing:
        """Draw the throughput columns of the speed tables."""
        groups, units = {}, {}
        for table in data.speed_tables():
            unit = table.columns[table.index("throughput")].unit
            for point, group in marks(table, "throughput").items():
                groups[point], units[point] = group, unit
        if not any(mark.value is not None for group in groups.values() for mark in group):
            return Drawing(figure=None, reason="no backend gave a throughput")
        chosen = list(groups.items())[:PANELS]
        styles = arm_styles(data.arms, data.baseline)
        figure, axes = stacked([group for _, group in chosen])
        same = len(set(units.values())) == 1
        for axis, (point, group) in zip(axes, chosen, strict=True):
            axis.set_title(short(point, 60) if same else f"{short(point, 45)} [{units[point]}]")
            bars(axis, group, styles)
        axes[-1].set_xlabel(f"throughput [{units[chosen[0][0]]}] (higher is better)" if same else "throughput")
        rows = tuple(
            (point, mark.arm, units[point], mark.value, mark.word) for point, group in groups.items() for mark in group
        )
        return Drawing(
            figure=figure,
            caption=f"Throughput on {data.device}: items of one call over its latency."
            f"{left_out(len(chosen), len(groups))}",
            columns=("point", "backend", "unit", "throughput", "without_value"),
            rows=rows,
            alternative=f"Horizontal bars of throughput for {len(data.arms)} backends and {len(chosen)} "
            f"workload points; the numbers are in the speed tables.",
        )


FIGURE = Throughput()
