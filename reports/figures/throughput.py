"""Throughput of every backend, a panel per workload."""

from steelyard.tables.charts import approximated, bars, left_out, marks, stacked
from steelyard.tables.drawing import Drawing
from steelyard.tables.style import Look, arm_styles, short
from steelyard.tables.table import ReportData


class Throughput:
    """Items per second, from the latency of a call and the items that it makes."""

    name = "throughput"
    title = "Throughput"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the throughput columns of the speed tables."""
        groups, units = {}, {}
        tables = data.speed_tables()
        for table in tables:
            unit = table.columns[table.index("throughput")].unit
            for point, group in marks(table, "throughput").items():
                groups[point], units[point] = group, unit
        if not any(mark.value is not None for group in groups.values() for mark in group):
            return Drawing(figure=None, reason="no backend gave a throughput")
        styles = arm_styles(data.arms, data.baseline)
        figure, axes = stacked(list(groups.values()), look)
        same = len(set(units.values())) == 1
        room = look.characters(look.column_in / look.across) - 18
        for axis, (point, group) in zip(axes, groups.items(), strict=False):
            axis.set_title(short(point, room) if same else f"{short(point, room - 12)} [{units[point]}]")
            bars(axis, group, styles, look, reference=data.baseline)
        unit = f" [{next(iter(units.values()))}]" if same else ""
        figure.supxlabel(f"throughput{unit} (higher is better)", fontsize=look.size_pt)
        rows = tuple(
            (point, mark.arm, units[point], mark.value, mark.word) for point, group in groups.items() for mark in group
        )
        return Drawing(
            figure=figure,
            caption=f"Throughput on {data.device}: items of one call over its latency; {tables[0].basis}, which the "
            f"figure of latency shows. The dashed line is {data.baseline}.{left_out(len(axes), len(groups))}"
            f"{approximated(groups.values())}",
            columns=("point", "backend", "unit", "throughput", "without_value"),
            rows=rows,
            alternative=f"Horizontal bars of throughput for {len(data.arms)} backends and {len(axes)} "
            f"workload points; the numbers are in the speed tables.",
        )


FIGURE = Throughput()
