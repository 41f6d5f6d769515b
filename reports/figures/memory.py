"""Memory by phase, a panel per workload point and quantity, a line per backend."""

from typing import Any

from steelyard.render.charts import left_out
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.labels import End, at_ends
from steelyard.render.style import GRID, INK, Look, arm_styles, short
from steelyard.tables.format import factor
from steelyard.tables.table import Column, ReportData, Table

METRICS = {
    "host_peak_bytes": "host peak",
    "allocator_peak_bytes": "allocator peak",
    "device_used_bytes": "device, at end",
}
"""What is drawn where a backend has it: each quantity in panels of its own, since they overlap."""

PANELS = 3


class MemoryFigure:
    """The phases apart, in time order; labels stand at the end of each line."""

    name = "memory"
    title = "Memory by phase"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the peaks of the memory table."""
        table = data.table("memory")
        phases = [column for column in table.columns if column.numeric]
        panels = list(dict.fromkeys((row.tags["point"], row.tags["metric"]) for row in table.rows))
        panels = [panel for panel in panels if panel[1] in METRICS and _known(table, phases, panel)]
        if not panels:
            return Drawing(figure=None, reason=table.empty or "no launch read its memory")
        height = 1.5 * look.scale
        chosen = panels[: max(1, min(PANELS, int(look.height_in / height)))]
        figure = new_figure(look.column_in, height * len(chosen))
        axes = [row[0] for row in figure.subplots(len(chosen), 1, squeeze=False)]
        for axis, panel in zip(axes, chosen, strict=True):
            _panel(axis, table, phases, panel, data, look, height)
        rows = tuple(
            (row.tags["point"], row.tags["arm"], row.tags["metric"], column.key, table.cell(row, column.key).value)
            for row in table.rows
            for column in phases
        )
        return Drawing(
            figure=figure,
            caption=f"Memory in each phase apart ({_named(chosen)}), on {data.device}, of the workload that ran first "
            f"in its launch; {table.basis}.{left_out(len(chosen), len(panels))}",
            columns=("point", "backend", "quantity", "phase", "bytes"),
            rows=rows,
            alternative="Lines of memory by phase, one per backend; the numbers are in the memory table.",
        )


def _panel(
    axis: Any, table: Table, phases: list[Column], panel: tuple[str, str], data: ReportData, look: Look, height: float
) -> None:
    gib = factor("B", "GiB")
    styles = arm_styles(data.arms, data.baseline)
    ends: list[End] = []
    for row in table.rows:
        if (row.tags["point"], row.tags["metric"]) != panel:
            continue
        arm, style = row.tags["arm"], styles[row.tags["arm"]]
        values = [table.cell(row, column.key).value for column in phases]
        known = [(place, value * gib) for place, value in enumerate(values) if value is not None]
        if known:
            axis.plot([place for place, _ in known], [value for _, value in known], color=style.colour,
                      ls=style.line, marker=style.marker, mec=INK, mew=0.3)  # fmt: skip
            ends.append(End(text=arm, x=known[-1][0], y=known[-1][1], colour=style.colour))
    axis.set_ylim(0, axis.get_ylim()[1] * 1.05)
    axis.set_xticks(range(len(phases)), [column.key.replace("_", "\n") for column in phases], linespacing=0.95)
    axis.set_xlim(-0.3, len(phases) - 0.7)
    at_ends(axis, ends, look, 0.75 * height)
    axis.set_ylabel(f"{METRICS[panel[1]]} [GiB]")
    axis.set_title(short(panel[0], look.characters(look.column_in) - 10))
    axis.grid(axis="y", color=GRID, lw=0.4)


def _known(table: Table, phases: list[Column], panel: tuple[str, str]) -> bool:
    return any(
        table.cell(row, column.key).value is not None
        for row in table.rows
        if (row.tags["point"], row.tags["metric"]) == panel
        for column in phases
    )


def _named(chosen: list[tuple[str, str]]) -> str:
    return ", ".join(dict.fromkeys(METRICS[metric] for _, metric in chosen))


FIGURE = MemoryFigure()
