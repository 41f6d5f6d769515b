"""What ran and what did not: a matrix of backends and workload points with a glyph per status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.tables.charts import left_out
from steelyard.tables.drawing import Drawing, new_figure
from steelyard.tables.style import INK, Look, short
from steelyard.tables.table import ReportData

GLYPHS = {
    "ok": ("✓", "#ffffff"),
    "incorrect": ("≠", "#f0b79a"),
    "fallback": ("↓", "#f6dfa5"),
    "unsupported": ("–", "#e4e4e4"),
    "out_of_memory": ("M", "#f0b79a"),
    "timed_out": ("T", "#f0b79a"),
    "crashed": ("✗", "#f0b79a"),
    "failed": ("F", "#f0b79a"),
    "skipped": ("·", "#e4e4e4"),
}
"""Glyph and shade of each status; the glyph alone tells them apart."""


ROW_IN = 0.17


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the matrix: one point or several of a workload that ended alike, and the status of each backend."""

    title: str
    points: int
    statuses: Mapping[str, str]


class Coverage:
    """Rows are workload points, columns backends; those left out before the run began stand among them.

    Where there are more points than a page has rows, points of a workload that ended alike share one.
    """

    name = "coverage"
    title = "Coverage"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the coverage table."""
        table = data.table("coverage")
        points = list(dict.fromkeys(row.tags["point"] for row in table.rows if row.tags["point"]))
        arms = list(dict.fromkeys(row.tags["arm"] for row in table.rows))
        if not points:
            return Drawing(figure=None, reason="nothing was planned")
        workloads = {row.tags["point"]: row.tags["workload"] for row in table.rows}
        found: dict[tuple[str, str], str] = {}
        for row in table.rows:
            about = [row.tags["point"]] if row.tags["point"] else points
            for point in about:
                found[point, row.tags["arm"]] = row.tags["status"]
        used = [status for status in GLYPHS if status in found.values()]
        legend = "   ".join(f"{GLYPHS[status][0]} {status.replace('_', ' ')}" for status in used)
        head = 0.45 + 0.035 * max(len(short(arm, 14)) for arm in arms)
        each = {point: {arm: found[point, arm] for arm in arms if (point, arm) in found} for point in points}
        lines = [Line(title=point, points=1, statuses=statuses) for point, statuses in each.items()]
        room = max(1, int((look.height_in / look.scale - head) / ROW_IN))
        if len(lines) > room:
            lines = _alike(each, workloads)
        drawn = lines[:room]
        figure = new_figure(look.column_in, look.scale * (head + ROW_IN * len(drawn)))
        axis = figure.subplots()
        from matplotlib.patches import Rectangle

        for place, line in enumerate(drawn):
            for arm, status in line.statuses.items():
                glyph, shade = GLYPHS[status]
                column = arms.index(arm)
                axis.add_patch(
                    Rectangle((column - 0.5, place - 0.5), 1, 1, facecolor=shade, edgecolor="#bbbbbb", lw=0.5)
                )
                axis.text(column, place, glyph, ha="center", va="center", fontsize=1.1 * look.size_pt, color=INK)
        axis.set_xlim(-0.5, len(arms) - 0.5)
        axis.set_ylim(len(drawn) - 0.5, -0.5)
        axis.set_xticks(
            range(len(arms)), [short(arm, 14) for arm in arms], rotation=35, ha="left", rotation_mode="anchor"
        )
        axis.set_yticks(range(len(drawn)), [short(line.title, 26) for line in drawn])
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        figure.supxlabel(legend, fontsize=look.small_pt)
        return Drawing(
            figure=figure,
            caption=f"How each backend ended on each workload point on {data.device}: "
            + ", ".join(f"{GLYPHS[status][0]} {status.replace('_', ' ')}" for status in used)
            + f". Reasons are in the coverage table.{_loss(drawn, len(points))}",
            columns=("point", "backend", "status"),
            rows=tuple((point, arm, status) for (point, arm), status in found.items()),
            alternative="Matrix of statuses: "
            + "; ".join(
                f"{arm} on {line.title}: {status.replace('_', ' ')}"
                for line in drawn
                for arm, status in line.statuses.items()
                if status != "ok"
            )
            + (" (all others ok)." if any(status == "ok" for status in found.values()) else "."),
        )


def _alike(each: Mapping[str, Mapping[str, str]], workloads: Mapping[str, str]) -> list[Line]:
    """A row for all points of a workload that ended alike, those first that did not all end ok."""
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for point, statuses in each.items():
        groups.setdefault((workloads[point], tuple(statuses.items())), []).append(point)
    lines = [
        Line(
            title=points[0] if len(points) == 1 else f"{workload}, {len(points)} points",
            points=len(points),
            statuses=dict(statuses),
        )
        for (workload, statuses), points in groups.items()
    ]
    return sorted(lines, key=lambda line: set(line.statuses.values()) == {"ok"})


def _loss(drawn: Sequence[Line], points: int) -> str:
    shown = sum(line.points for line in drawn)
    shared = " Points of a workload that ended alike share a row." if shown > len(drawn) else ""
    return shared + left_out(shown, points)


FIGURE = Coverage()
