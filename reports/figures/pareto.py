"""Speed against error: which backends are worth their error, quantized ones above all."""

from typing import Any

from steelyard.render.charts import log_axis
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.labels import End, beside
from steelyard.render.style import BAND, GRID, INK, Look, arm_styles, short
from steelyard.tables.table import ReportData, Row


class Pareto:
    """A mark per backend: latency across, error of its worst output upwards, both on log axes; left and low is better.
    Backends on the line are those than which none is both faster and nearer to the reference. Drawn of runs with a
    quantized backend.
    """

    name = "pareto"
    title = "Speed against error"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the first configuration."""
        tables = [table for table in data.tables if table.name == "pareto"]
        if not tables:
            return Drawing(figure=None, reason="no backend is quantized (NAME[int8])")
        table = tables[0]
        if not table.rows:
            return Drawing(figure=None, reason=table.empty)
        point = table.rows[0].tags["point"]
        column = table.columns[table.index("latency_s")]

        def place(row: Row) -> tuple[float, float]:
            """Latency in ms and the error, that of an exact answer set to what float64 resolves."""
            return 1e3 * (table.cell(row, "latency_s").value or 0.0), max(table.cell(row, "error").value or 0.0, 1e-16)

        found = {row.tags["arm"]: place(row) for row in table.rows if row.tags["point"] == point}
        styles = arm_styles(data.arms, data.baseline)
        height = look.scale * 1.9
        figure = new_figure(look.column_in, height)
        axis = figure.subplots()
        latencies, errors = zip(*found.values(), strict=True)
        log_axis(axis, "x", min(latencies) / 1.15, max(latencies) * 1.15)
        log_axis(axis, "y", min(errors) / 2, max(errors) * 2)
        _line(axis, found)
        for arm, (latency, error) in found.items():
            style = styles[arm]
            axis.plot(
                [latency], [error], marker=style.marker, color=style.colour, mec=INK, mew=0.4, ls="none", zorder=5
            )
        ends = [End(text=arm, x=x, y=y, colour=styles[arm].colour) for arm, (x, y) in found.items()]
        beside(axis, ends, [(x, y, x, y) for x, y in found.values()], look, (0.8 * look.column_in, 0.75 * height))
        axis.set_xlabel(column.heading)
        axis.set_ylabel("relative error")
        axis.set_title(short(point, look.characters(look.column_in) - 10))
        axis.grid(color=GRID, lw=0.4)
        return Drawing(
            figure=figure,
            caption=f"Latency and the worst relative error of the outputs of {point} on {data.device}; left and low is "
            "better. The line joins the backends than which none is both faster and nearer to the reference, by "
            f"estimates, not by verdicts. Latencies: {table.basis}.",
            columns=("point", "backend", "latency_s", "low", "high", "error", "on_the_line"),
            rows=tuple(
                (
                    *(row.tags["point"], row.tags["arm"], *table.cell(row, "latency_s").numbers),
                    table.cell(row, "error").value,
                    row.tags["point"] == point and row.tags["arm"] in frontier(found),
                )
                for row in table.rows
            ),
            alternative="Marks of latency against relative error, one per backend; the numbers are in the table of "
            "quantization and in the CSV.",
        )


def frontier(places: dict[str, tuple[float, float]]) -> list[str]:
    """Those that no other beats in one of the two numbers without losing in the other, from the fastest on."""
    kept: list[str] = []
    least = float("inf")
    for name, (_, error) in sorted(places.items(), key=lambda item: item[1]):
        if error < least:
            kept.append(name)
            least = error
    return kept


def _line(axis: Any, places: dict[str, tuple[float, float]]) -> None:
    best = [places[name] for name in frontier(places)]
    axis.step([x for x, _ in best], [y for _, y in best], where="post", color=BAND, lw=2, zorder=1)


FIGURE = Pareto()
