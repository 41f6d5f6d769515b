"""What ran and what did not: a matrix of backends and workload points with a glyph per status."""

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


class Coverage:
    """Rows are workload points, columns backends; those left out before the run began stand among them."""

    name = "coverage"
    title = "Coverage"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the coverage table."""
        table = data.table("coverage")
        points = list(dict.fromkeys(row.tags["point"] for row in table.rows if row.tags["point"]))
        arms = list(dict.fromkeys(row.tags["arm"] for row in table.rows))
        if not points:
            return Drawing(figure=None, reason="nothing was planned")
        found = {}
        for row in table.rows:
            about = [row.tags["point"]] if row.tags["point"] else points
            for point in about:
                found[point, row.tags["arm"]] = row.tags["status"]
        used = [status for status in GLYPHS if status in found.values()]
        legend = "   ".join(f"{GLYPHS[status][0]} {status.replace('_', ' ')}" for status in used)
        longest = max(len(short(arm, 14)) for arm in arms)
        figure = new_figure(look.column_in, look.scale * (0.45 + 0.035 * longest + 0.17 * len(points)))
        axis = figure.subplots()
        from matplotlib.patches import Rectangle

        for (point, arm), status in found.items():
            glyph, shade = GLYPHS[status]
            column, line = arms.index(arm), points.index(point)
            axis.add_patch(Rectangle((column - 0.5, line - 0.5), 1, 1, facecolor=shade, edgecolor="#bbbbbb", lw=0.5))
            axis.text(column, line, glyph, ha="center", va="center", fontsize=1.1 * look.size_pt, color=INK)
        axis.set_xlim(-0.5, len(arms) - 0.5)
        axis.set_ylim(len(points) - 0.5, -0.5)
        axis.set_xticks(
            range(len(arms)), [short(arm, 14) for arm in arms], rotation=35, ha="left", rotation_mode="anchor"
        )
        axis.set_yticks(range(len(points)), [short(point, 26) for point in points])
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        figure.supxlabel(legend, fontsize=look.small_pt)
        return Drawing(
            figure=figure,
            caption=f"How each backend ended on each workload point on {data.device}: "
            + ", ".join(f"{GLYPHS[status][0]} {status.replace('_', ' ')}" for status in used)
            + ". Reasons are in the coverage table.",
            columns=("point", "backend", "status"),
            rows=tuple((point, arm, status) for (point, arm), status in found.items()),
            alternative="Matrix of statuses: "
            + "; ".join(
                f"{arm} on {point}: {status.replace('_', ' ')}"
                for (point, arm), status in found.items()
                if status != "ok"
            )
            + (" (all others ok)." if any(status == "ok" for status in found.values()) else "."),
        )


FIGURE = Coverage()
