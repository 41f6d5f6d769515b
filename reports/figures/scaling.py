"""Throughput against batch and context: a line per backend over each axis that the suite sweeps."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.render.charts import left_out, log_axis
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.labels import End, at_ends
from steelyard.render.style import GRID, INK, Look, arm_styles, short
from steelyard.tables.table import ReportData, Row, Table

_PANEL = 0.55
"""About how much of the column the values of a panel span; the rest holds its labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPanel:
    """One panel: a workload swept along `axis`, its other axes fixed. `lines` are (axis value, throughput or None
    with the word in its place) by backend, ascending."""

    workload: str
    axis: str
    fixed: str
    unit: str
    lines: Mapping[str, list[tuple[float, float | None, str]]]


class Scaling:
    """Lines that rise straight on both log axes scale perfectly; a line that ends met a failure."""

    name = "scaling"
    title = "Throughput against batch and context"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the throughput of the speed tables along their numeric axes."""
        sweeps = [sweep for table in data.speed_tables() for sweep in _sweeps(table)]
        if not sweeps:
            return Drawing(figure=None, reason="neither batch nor context nor another numeric axis varies in this run")
        height = 1.6 * look.scale
        chosen = sweeps[: max(1, int(look.height_in / height))]
        figure = new_figure(look.column_in, height * len(chosen))
        axes = figure.subplots(len(chosen), 1, squeeze=False)[:, 0]
        thinned = ""
        for axis, sweep in zip(axes, chosen, strict=True):
            marked, values = self._panel(axis, sweep, data, look, height)
            if marked < values:
                thinned += f" Of {values} values of {sweep.axis}, {marked} have a mark; the lines pass through all."
        failed = [
            f"{arm} at {sweep.workload} {sweep.axis}={value:g} ({word})"
            for sweep in chosen
            for arm, line in sweep.lines.items()
            for value, number, word in line
            if number is None
        ]
        more = f" and {len(failed) - 6} more" if len(failed) > 6 else ""
        told = f" Without a number: {', '.join(failed[:6])}{more}." if failed else ""
        return Drawing(
            figure=figure,
            caption=f"Throughput along each swept axis on {data.device}: items of one call over its latency; "
            f"{data.speed_tables()[0].basis}, which the speed tables print.{thinned}{told}"
            + left_out(len(chosen), len(sweeps), "sweeps"),
            columns=("workload", "axis", "fixed", "value", "backend", "unit", "throughput", "without_value"),
            rows=tuple(
                (sweep.workload, sweep.axis, sweep.fixed, value, arm, sweep.unit, number, word)
                for sweep in sweeps
                for arm, line in sweep.lines.items()
                for value, number, word in line
            ),
            alternative="Lines of throughput along the swept axes, one per backend; the numbers are in the speed "
            "tables.",
        )

    def _panel(self, axis: Any, sweep: SweepPanel, data: ReportData, look: Look, height: float) -> tuple[int, int]:
        """Draw one sweep; returns how many of its values have a mark and a tick, and how many there are."""
        styles = arm_styles(data.arms, data.baseline)
        places = sorted({value for line in sweep.lines.values() for value, _, _ in line})
        logarithmic = places[0] > 0 and places[-1] / places[0] > 2
        marked = _marked(places, logarithmic, look)
        ends, values = [], []
        for arm, line in sweep.lines.items():
            known = [(value, number) for value, number, _ in line if number]
            if not known:
                continue
            style = styles[arm]
            axis.plot(*zip(*known, strict=True), color=style.colour, ls=style.line, marker=style.marker, mec=INK,
                      mew=0.3, markevery=[value in marked for value, _ in known])  # fmt: skip
            ends.append(End(text=arm, x=known[-1][0], y=known[-1][1], colour=style.colour))
            values += [number for _, number in known]
        if logarithmic:
            axis.set_xscale("log")
        from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

        axis.xaxis.set_major_locator(FixedLocator(marked))
        axis.xaxis.set_major_formatter(FixedFormatter([f"{value:g}" for value in marked]))
        axis.xaxis.set_minor_locator(NullLocator())
        if values:
            log_axis(axis, "y", min(values) / 1.3, max(values) * 1.3)
        axis.set_xlabel(sweep.axis)
        axis.set_ylabel(sweep.unit)
        axis.grid(color=GRID, lw=0.4)
        at_ends(axis, ends, look, 0.7 * height)
        axis.set_title(short(f"{sweep.workload} {sweep.fixed}".strip(), look.characters(look.column_in) - 10))
        return len(marked), len(places)


def _marked(places: Sequence[float], logarithmic: bool, look: Look) -> list[float]:
    """The first and the last of these ascending values, and between them as many as have room for their ticks."""
    at = [math.log(value) for value in places] if logarithmic else list(places)
    wide = look.inches(1 + max(len(f"{value:g}") for value in places))
    least = (at[-1] - at[0]) * wide / (_PANEL * look.column_in)
    kept = [0]
    for place in range(1, len(places) - 1):
        if at[place] - at[kept[-1]] >= least and at[-1] - at[place] >= least:
            kept.append(place)
    return [places[place] for place in dict.fromkeys([*kept, len(places) - 1])]


def _sweeps(table: Table) -> list[SweepPanel]:
    """The panels of a table: for each numeric axis and each setting of the others, where two values or more stand."""
    axes = [column.key.removeprefix("axis_") for column in table.columns if column.key.startswith("axis_")]
    values = {axis: [table.cell(row, f"axis_{axis}").text for row in table.rows] for axis in axes}
    found = []
    claimed: set[str] = set()
    for axis in axes:
        if axis in claimed or not all(_number(text) is not None for text in values[axis]):
            continue
        # An axis that moves with this one, such as the capacity with the context, is no setting of its own.
        moving = {other for other in axes if len(set(zip(values[axis], values[other], strict=True))) == len(
            set(values[axis])) == len(set(values[other]))}  # fmt: skip
        claimed |= moving
        others = [other for other in axes if other not in moving]
        groups: dict[str, list[Row]] = {}
        for row in table.rows:
            told = ((other, table.cell(row, f"axis_{other}").text) for other in others)
            setting = " ".join(f"{other}={text}" for other, text in told if text)
            groups.setdefault(setting, []).append(row)
        for setting, rows in groups.items():
            lines: dict[str, list[tuple[float, float | None, str]]] = {}
            for row in rows:
                place = _number(table.cell(row, f"axis_{axis}").text)
                cell = table.cell(row, "throughput")
                word = "" if cell.value is not None else row.tags["status"].replace("_", " ")
                lines.setdefault(row.tags["arm"], []).append((place or 0.0, cell.value, word))
            if all(len(line) > 1 for line in lines.values()):
                unit = table.columns[table.index("throughput")].unit
                ordered = {arm: sorted(line, key=lambda item: item[0]) for arm, line in lines.items()}
                workload = rows[0].tags["workload"]
                found.append(SweepPanel(workload=workload, axis=axis, fixed=setting, unit=unit, lines=ordered))
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


FIGURE = Scaling()
