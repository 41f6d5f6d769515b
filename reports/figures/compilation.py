"""What starting costs: the phases of a warm start, and compiling with empty caches."""

from typing import Any

from steelyard.tables.charts import Mark, few_ticks, labels
from steelyard.tables.drawing import Drawing, new_figure
from steelyard.tables.format import decimals, fixed
from steelyard.tables.style import FAINT, GRID, INK, Look, short
from steelyard.tables.table import ReportData, Row, Table

PHASES = (
    ("import_s_warm", "import"),
    ("load_s_warm", "load"),
    ("compile_s_warm", "compile"),
    ("first_run_s_warm", "first run"),
)
SHADES = ("#c6c6c6", "#8c8c8c", "#0072B2", "#F2C45A")
HATCHES = ("", "", "////", "")


class Compilation:
    """Stacked bars of the phases of a warm start, with the cold compile time as a mark."""

    name = "compilation"
    title = "Start-up and compilation"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the start-up table at the point of which most is known, the first among equals."""
        table = data.table("startup")
        points = list(dict.fromkeys(row.tags["point"] for row in table.rows))
        if not points:
            return Drawing(figure=None, reason=table.empty)
        if not {key for key, _ in PHASES} <= {column.key for column in table.columns}:
            return Drawing(
                figure=None, reason="no launch had warm compile caches; the table has the phases of cold ones"
            )
        point = max(points, key=lambda point: sum(_known(table, row) for row in _about(table, point)))
        rows = _about(table, point)
        figure = new_figure(look.column_in, look.scale * (0.62 + 0.17 * len(rows)))
        axis = figure.subplots()
        self._phases(axis, table, rows, look)
        axis.set_title(short(point, look.characters(look.column_in) - 18))
        others = f" {len(points) - 1} more points are in the CSV." if len(points) > 1 else ""
        return Drawing(
            figure=figure,
            caption=f"Start-up of {point} on {data.device}: phases of a start with warm compile caches; "
            f"{table.basis}. The diamond is compiling with empty caches, without an interval.{others}",
            columns=("point", "backend", *(key for key, _ in PHASES), "compile_s_cold", "break_even_calls_warm"),
            rows=tuple(
                (
                    *(row.tags["point"], row.tags["arm"], *(table.cell(row, key).value for key, _ in PHASES)),
                    *(table.cell(row, "compile_s_cold").value, table.cell(row, "break_even_warm").value),
                )
                for row in table.rows
            ),
            alternative="Stacked bars of start-up phases; the numbers are in the start-up table.",
        )

    def _phases(self, axis: Any, table: Table, rows: list[Row], look: Look) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        diamond: dict[str, Any] = {
            "marker": "D",
            "color": "white",
            "mec": INK,
            "mew": 0.8,
            "ls": "none",
            "ms": 3.5 * look.scale,
        }
        farthest = 0.0
        for position, row in enumerate(rows):
            left = 0.0
            for (key, _), shade, hatch in zip(PHASES, SHADES, HATCHES, strict=True):
                value = table.cell(row, key).value
                if value is not None:
                    axis.barh(position, value, left=left, height=0.7, color=shade, edgecolor=INK, hatch=hatch)
                    left += value
            cold = table.cell(row, "compile_s_cold").value
            if cold:
                axis.plot([cold], [position], zorder=6, **diamond)
            word = row.tags["status"].replace("_", " ") if row.tags["status"] != "ok" else "no warm start"
            text = f"{fixed(left, decimals(left))}" if left else word
            axis.annotate(text, (1, position), (-2, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                          ha="right", va="center", fontsize=look.small_pt, color=INK if left else FAINT)  # fmt: skip
            farthest = max(farthest, left, cold or 0.0)
        labels(axis, [Mark(arm=row.tags["arm"], point="", value=None) for row in rows])
        axis.set_xlim(0, (farthest or 1.0) * 1.2)
        axis.xaxis.set_major_locator(few_ticks())
        axis.set_xlabel("seconds")
        axis.grid(axis="x", color=GRID, lw=0.4)
        keys: list[Any] = [
            Patch(facecolor=shade, edgecolor=INK, hatch=hatch, label=name)
            for (_, name), shade, hatch in zip(PHASES, SHADES, HATCHES, strict=True)
        ]
        cold_key = Line2D([], [], label="compile, cold", **diamond)
        axis.figure.legend(handles=[*keys, cold_key], ncols=5, loc="outside upper center", handlelength=1.1,
                           columnspacing=0.8, handletextpad=0.3, borderpad=0.2)  # fmt: skip


def _about(table: Table, point: str) -> list[Row]:
    return [row for row in table.rows if row.tags["point"] == point]


def _known(table: Table, row: Row) -> int:
    return sum(table.cell(row, key).value is not None for key, _ in PHASES)


FIGURE = Compilation()
