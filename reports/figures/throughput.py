"""Throughput by streams and batch: a heat map per backend."""

from typing import Any

from steelyard.render.charts import left_out
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.style import FAINT, INK, Look, shorts
from steelyard.tables.format import decimals, fixed
from steelyard.tables.table import ReportData, Row, Table


class Throughput:
    """A panel per backend, streams upwards and batch across, on one scale of brightness: brighter is more. The largest
    of a backend is framed, what lies above a latency bound is hatched, what has no number is empty. Drawn of runs with
    `--set streams=...`.
    """

    name = "throughput"
    title = "Throughput by streams and batch"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the first workload that was asked for with streams."""
        tables = [table for table in data.tables if table.name.startswith("streams-")]
        if not tables:
            return Drawing(figure=None, reason="no workload has several requests at a time (--set streams=1,2,4)")
        table = tables[0]
        cells: dict[str, list[Row]] = {}
        for row in table.rows:
            cells.setdefault(row.tags["arm"], []).append(row)
        values = [value for row in table.rows if (value := table.cell(row, "throughput").value) is not None]
        if not values:
            return Drawing(figure=None, reason="no configuration has a throughput")
        streams = sorted({int(row.tags["streams"]) for row in table.rows})
        batches = list(dict.fromkeys(row.tags["batch"] for row in table.rows))
        height = look.scale * (0.34 + 0.15 * len(streams))
        shown = list(cells)[: max(1, int(look.height_in / height)) * look.across]
        lines = -(-len(shown) // look.across)
        figure = new_figure(look.column_in, height * lines)
        axes = figure.subplots(lines, min(look.across, len(shown)), squeeze=False).ravel()
        names = shorts(cells)
        for axis in axes[len(shown) :]:
            axis.remove()
        for axis, arm in zip(axes, shown, strict=False):
            grid = {(int(row.tags["streams"]), row.tags["batch"]): row for row in cells[arm]}
            _panel(axis, table, grid, streams, batches, max(values), look)
            axis.set_title(names[arm])
        figure.supxlabel("batch", fontsize=look.size_pt)
        figure.supylabel("streams", fontsize=look.size_pt)
        unit = table.columns[table.index("throughput")].unit
        return Drawing(
            figure=figure,
            caption=f"{table.title} on {data.device}, in {unit}: all items of the requests of a call over the time "
            f"until the last of them has ended. Behind each number stand {table.basis} of latency."
            f"{left_out(len(shown), len(cells), 'backends')}",
            columns=("backend", "streams", "batch", "throughput", "low", "high", "unit"),
            rows=tuple(
                (
                    *(row.tags["arm"], row.tags["streams"], row.tags["batch"]),
                    *(*table.cell(row, "throughput").numbers, unit),
                )
                for row in table.rows
            ),
            alternative="Heat maps of throughput by streams and batch, one per backend; the numbers are in the table.",
        )


def _panel(
    axis: Any,
    table: Table,
    grid: dict[tuple[int, str], Row],
    streams: list[int],
    batches: list[str],
    most: float,
    look: Look,
) -> None:
    from matplotlib.patches import Rectangle

    found = {place: table.cell(row, "throughput").value for place, row in grid.items()}
    marks = {place: table.cell(row, "most").text for place, row in grid.items()}
    for up, stream in enumerate(streams):
        for across, batch in enumerate(batches):
            value = found.get((stream, batch))
            if value is None:
                axis.text(across, up, "–", ha="center", va="center", fontsize=look.small_pt, color=FAINT)
                continue
            share = value / most
            axis.add_patch(Rectangle((across - 0.5, up - 0.5), 1, 1, color=_shade(share), lw=0))
            colour = "white" if share < 0.5 else INK
            text = fixed(value, decimals(value))
            axis.text(across, up, text, ha="center", va="center", fontsize=look.small_pt, color=colour)
            if marks[stream, batch] == "above the bound":
                axis.add_patch(Rectangle((across - 0.5, up - 0.5), 1, 1, fill=False, hatch="///", ec=FAINT, lw=0))
            if marks[stream, batch] == "most":
                axis.add_patch(Rectangle((across - 0.46, up - 0.46), 0.92, 0.92, fill=False, ec=INK, lw=1.0))
    axis.set_xticks(range(len(batches)), [batch or "–" for batch in batches])
    axis.set_yticks(range(len(streams)), [str(stream) for stream in streams])
    axis.set_xlim(-0.5, len(batches) - 0.5)
    axis.set_ylim(-0.5, len(streams) - 0.5)
    axis.tick_params(length=0)


def _shade(share: float) -> tuple[float, float, float, float]:
    """A colour that grows brighter with a share, in grey as well."""
    import matplotlib as mpl

    red, green, blue, alpha = mpl.colormaps["cividis"](share)
    return float(red), float(green), float(blue), float(alpha)


FIGURE = Throughput()
