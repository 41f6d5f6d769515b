"""The figure of fusion: the source graph from left to right, a lane for each backend, kernels as spans of its nodes."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.style import FAINT, INK, Look, short
from steelyard.tables.format import counted
from steelyard.tables.table import ReportData
from steelyard.tracing.classes import CLASSES, name_of
from steelyard.tracing.figure import legend
from steelyard.tracing.fusion_lanes import FAR, Line, Node, lines_of
from steelyard.tracing.fusion_tables import aligned, arms_of
from steelyard.tracing.shades import SHADES

_LANE_IN, _TITLE_IN, _LEGEND_IN, _BRACKET_IN = 0.17, 0.2, 0.16, 0.14
_NODE_IN = 0.085
_FLAT = 0.4
"""Height of one of several spans above each other, in lanes."""
_DEEPEST = 4.0
"""Height of a lane at most, in ordinary lanes."""
_LONGEST = 16
"""Characters of an operator above its column."""
_LABEL_PT = 5
_KEYS_A_ROW = 6


class FusionFigure:
    """The nodes of a program from left to right and a lane for each backend, in which kernels are spans of the nodes
    that ended in them; in as many lines as the nodes need, and as many as fit on a page."""

    name = "fusion"
    title = "Fusion"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the tables of fusion."""
        tables = [table for table in data.tables if aligned(table) and table.rows]
        if not tables:
            return Drawing(figure=None, reason="no backend could be laid on a source graph")
        fitting = int((look.full_in - look.inches(max(map(len, data.arms))) - 0.2) / (_NODE_IN * look.scale))
        lines, left = _on_a_page([line for table in tables for line in lines_of(table, fitting)], look)
        shown = {span.name for line in lines for lane in line.lanes.values() for span in lane}
        classes = [name for name in CLASSES if name in shown]
        heights = [_height_in(line) for line in lines]
        figure = new_figure(
            look.full_in, look.scale * (sum(heights) + _LEGEND_IN * -(-len(classes) // _KEYS_A_ROW) + 0.1)
        )
        axes = figure.subplots(len(lines), 1, height_ratios=heights, squeeze=False)
        widest = max(line.columns for line in lines)
        for (axis,), line in zip(axes, lines, strict=True):
            _draw(axis, line, look, widest)
        legend(figure, {name_of(name): SHADES[name] for name in classes}, _KEYS_A_ROW)
        return Drawing(
            figure=figure,
            caption=f"Which nodes of the source graph ended in one kernel on {data.device}. Columns are the nodes that "
            "compute something, in order; a span is one kernel, coloured by class of operator, with a line between "
            f"nodes up to {FAR} columns apart. Spans above each other share nodes: one that is divided among kernels, "
            "or computed again. A dot is a node that no kernel is known to hold. Parts over a bracket follow as often "
            f"as it says, treated alike by every backend.{left}",
            columns=("point", "node", "operator", "times", "backend", "sites"),
            rows=tuple(
                (
                    row.tags["label"],
                    table.cell(row, "node").text,
                    table.cell(row, "operator").text,
                    table.cell(row, "times").value,
                    arm,
                    row.tags[f"in {arm}"],
                )
                for table in tables
                for row in table.rows
                for arm in arms_of(table)
            ),
            alternative="A lane for each backend with the kernels that nodes of the source graph ended in; the same is "
            "in the tables of fusion.",
        )


def _on_a_page(lines: Sequence[Line], look: Look) -> tuple[list[Line], str]:
    """The lines that fit on a page, one at least, and what is said of the others."""
    shown, high = list(lines[:1]), _height_in(lines[0])
    for line in lines[1:]:
        high += _height_in(line)
        if high * look.scale > look.height_in:
            break
        shown.append(line)
    left = sum(len(line.nodes) for line in lines[len(shown) :])
    return shown, f" {counted(left, 'column')} more are in the CSV." if left else ""


def _height_in(line: Line) -> float:
    longest = max(len(short(node.operator, _LONGEST)) for node in line.nodes)
    lanes = sum(_lane(line, arm) for arm in line.lanes)
    return _LANE_IN * lanes + longest * 0.045 + _BRACKET_IN + (_TITLE_IN if line.title else 0.0)


def _lane(line: Line, arm: str) -> float:
    return min(max(1.0, _FLAT * line.depth(arm)), _DEEPEST)


def _draw(axis: Any, line: Line, look: Look, widest: float) -> None:
    from matplotlib.patches import Rectangle

    top, middles = 0.0, []
    for arm, spans in line.lanes.items():
        high = _lane(line, arm)
        middles.append(top + high / 2)
        for node in line.nodes:
            if not node.sites[arm]:
                axis.plot((node.at + 0.5,), (middles[-1],), marker=".", markersize=1.5, color=FAINT)
        for span in spans:
            each = min(max(0.8, _FLAT * span.depth - 0.2), high - 0.2) / span.depth
            low = middles[-1] + (span.track - span.depth / 2) * each
            shade, hatch = SHADES[span.name]
            axis.plot(
                (span.runs[0][0] + 0.5, span.runs[-1][1] + 0.5), (low + each / 2,) * 2, color=INK, lw=0.5, zorder=1
            )
            for begin, end in span.runs:
                at, wide = (begin + 0.06, low), end - begin + 0.88
                box = Rectangle(at, wide, each, facecolor=shade, edgecolor=INK, hatch=hatch, lw=0.3, zorder=2)
                axis.add_patch(box)
        top += high
    axis.set_yticks(middles, line.lanes)
    axis.set_ylim(top, 0)
    axis.set_xlim(-0.2, widest + 0.2)
    axis.xaxis.tick_top()
    names = [short(node.operator, _LONGEST) for node in line.nodes]
    axis.set_xticks([node.at + 0.5 for node in line.nodes], names, rotation=90, fontsize=_LABEL_PT * look.scale)
    axis.tick_params(length=0, pad=1)
    for side in ("left", "bottom"):
        axis.spines[side].set_visible(False)
    for _, group in groupby(line.nodes, key=lambda node: node.part):
        _bracket(axis, list(group), top, look)
    if line.title:
        axis.set_title(short(line.title, look.characters(look.full_in) - 20))


def _bracket(axis: Any, part: Sequence[Node], low: float, look: Look) -> None:
    """Under a part that is repeated: how often it follows."""
    if part[0].times > 1:
        begin, end = part[0].at + 0.1, part[-1].at + 0.9
        axis.plot((begin, begin, end, end), (low, low + 0.12, low + 0.12, low), color=FAINT, lw=0.6, clip_on=False)
        text = f"×{part[0].times}"
        axis.text((begin + end) / 2, low + 0.18, text, ha="center", va="top", color=FAINT, fontsize=look.small_pt)
