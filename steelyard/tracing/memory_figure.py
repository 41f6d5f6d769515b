"""The figure of memory: what intermediate values hold in the course of a call, a line for each backend."""

from collections.abc import Mapping, Sequence
from typing import Any

from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.style import GRID, Look, arm_styles, short, shorts
from steelyard.tables.table import ReportData
from steelyard.tracing.memory import OVER_TIME

_PANEL_IN = 1.15
_MOST = 4
_ROOM = 1.6
"""How far an axis reaches beyond its largest value: its key is above the lines."""
_MIB, _A_TENTH = 2**20, 0.1
_UNITS = (("MiB", 1.0), ("KiB", 2.0**10), ("B", 2.0**20))
Lines = Mapping[str, Sequence[tuple[float, float]]]


class MemoryOverTime:
    """Panels of configurations, at most four. Weights, inputs and outputs, which are held all the time, are not in
    it."""

    name = "memory_over_time"
    title = "Memory in the course of a call"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the table of what is held."""
        table = next((table for table in data.tables if table.name == OVER_TIME), None)
        panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
        for row in table.rows if table else ():
            assert table is not None
            part, size = table.cell(row, "part").value or 0.0, table.cell(row, "held").value or 0.0
            lines = panels.setdefault(table.cell(row, "point").text, {})
            lines.setdefault(row.tags["arm"], []).append((part, size / _MIB))
        if not panels:
            return Drawing(figure=None, reason="no launch told of values in their order")
        shown = dict(list(panels.items())[:_MOST])
        figure = new_figure(look.column_in, look.scale * _PANEL_IN * len(shown))
        axes = figure.subplots(len(shown), 1, squeeze=False)
        for (axis,), (title, lines) in zip(axes, shown.items(), strict=True):
            _panel(axis, lines, data)
            axis.set_title(short(title, look.characters(look.column_in) - 10))
        axes[-1][0].set_xlabel("from the first value held to the last [%]")
        left = f" {len(panels) - _MOST} more configurations are in the CSV." if len(panels) > _MOST else ""
        return Drawing(
            figure=figure,
            caption="What intermediate values hold in the course of one call, without weights, inputs and outputs: "
            "values that wait for an operator, in the order in which the runtime executes operators, from the first "
            "that makes one to the last that reads one; of PyTorch what its allocator holds, change by change. "
            "Places of different backends are not the same operator. The key gives the largest, in the axis's "
            f"unit.{left}",
            columns=("point", "backend", "part_percent", "held_mib"),
            rows=tuple(
                (title, arm, part, size)
                for title, lines in panels.items()
                for arm, line in lines.items()
                for part, size in line
            ),
            alternative="Lines of the memory that intermediate values hold in the course of a call, one for each "
            "backend; the largest are in the table of memory.",
        )


def _panel(axis: Any, lines: Lines, data: ReportData) -> None:
    styles, names = arm_styles(data.arms, data.baseline), shorts(data.arms)
    largest = max(size for line in lines.values() for _, size in line)
    # The first unit of which the largest is a tenth, so that an axis has short numbers.
    unit, scale = next((each for each in _UNITS if largest * each[1] >= _A_TENTH), _UNITS[-1])
    for arm, line in lines.items():
        style, sizes = styles[arm], [size * scale for _, size in line]
        places = [*(part for part, _ in line), 100.0]
        label = f"{names[arm]}  {max(sizes):.3g}"
        axis.step(places, [*sizes, sizes[-1]], where="post", color=style.colour, ls=style.line, label=label)
    axis.set_xlim(0, 100)
    axis.set_ylim(0, _ROOM * scale * largest or None)
    axis.set_ylabel(f"held [{unit}]")
    axis.legend(loc="upper left", ncols=2)
    axis.grid(axis="y", color=GRID, lw=0.4)
