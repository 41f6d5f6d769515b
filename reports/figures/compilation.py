"""What starting costs: the phases of a warm start, and compiling with empty caches."""

from typing import Any

from steelyard.render.charts import Mark, few_ticks, labels
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.style import FAINT, GRID, INK, Look, short
from steelyard.tables.format import decimals, fixed
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
    """Left, stacked bars of the phases of a warm start; right, on a scale of its own, compiling with empty caches."""

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
        warm, cold = figure.subplots(1, 2, width_ratios=[1.9, 1.0])
        self._phases(warm, table, rows, look)
        self._cold(cold, table, rows, look)
        warm.set_title(short(point, look.characters(look.column_in) - 18))
        others = f" {len(points) - 1} more configurations are in the CSV." if len(points) > 1 else ""
        return Drawing(
            figure=figure,
            caption=f"Start-up of {point} on {data.device}: phases of a start with warm compile caches; "
            f"{table.basis}. Right, on a scale of its own: compiling with empty caches, n = 1 launch, no "
            f"interval.{others}",
            columns=("point", "backend", *(key for key, _ in PHASES), "compile_s_cold", "break_even_calls_warm"),
            rows=tuple(
                (
                    *(row.tags["point"], row.tags["arm"], *(table.cell(row, key).value for key, _ in PHASES)),
                    *(table.cell(row, "compile_s_cold").value, table.cell(row, "break_even_warm").value),
                )
                for row in table.rows
            ),
            alternative="Stacked bars of start-up phases, and bars of cold compile times; the numbers are in the "
            "start-up table.",
        )

    def _phases(self, axis: Any, table: Table, rows: list[Row], look: Look) -> None:
        """The bars of a warm start, from zero to the end that is written beside each."""
        from matplotlib.patches import Patch

        farthest = 0.0
        for position, row in enumerate(rows):
            left = 0.0
            for (key, _), shade, hatch in zip(PHASES, SHADES, HATCHES, strict=True):
                value = table.cell(row, key).value
                if value is not None:
                    axis.barh(position, value, left=left, height=0.7, color=shade, edgecolor=INK, hatch=hatch)
                    left += value
            word = row.tags["status"].replace("_", " ") if row.tags["status"] != "ok" else "no warm start"
            _beside(axis, left, position, look, "" if left else word)
            farthest = max(farthest, left)
        _scale(axis, farthest, "start, warm caches [s]")
        labels(axis, [Mark(arm=row.tags["arm"], point="", value=None) for row in rows])
        keys = [
            Patch(facecolor=shade, edgecolor=INK, hatch=hatch, label=name)
            for (_, name), shade, hatch in zip(PHASES, SHADES, HATCHES, strict=True)
        ]
        axis.figure.legend(handles=keys, ncols=len(keys), loc="outside upper center", handlelength=1.1,
                           columnspacing=0.8, handletextpad=0.3, borderpad=0.2)  # fmt: skip

    def _cold(self, axis: Any, table: Table, rows: list[Row], look: Look) -> None:
        """Compiling with empty caches on a scale of its own: it may take many times as long as a warm start."""
        values = [table.cell(row, "compile_s_cold").value for row in rows]
        for position, value in enumerate(values):
            axis.barh(position, value or 0.0, height=0.7, color="white", edgecolor=INK, hatch=HATCHES[2])
            _beside(axis, value or 0.0, position, look, "no time" if value is None else "")
        _scale(axis, max((value or 0.0 for value in values), default=0.0), "compile, cold [s]")
        axis.set_yticks([])
        axis.set_ylim(len(rows) - 0.4, -0.6)


def _beside(axis: Any, end: float, position: int, look: Look, word: str) -> None:
    """What a bar comes to, right of it, or the word in its place."""
    axis.annotate(word or fixed(end, decimals(end)), (end, position), (3, 0), textcoords="offset points", ha="left",
                  va="center", fontsize=look.small_pt, color=FAINT if word else INK)  # fmt: skip


def _scale(axis: Any, farthest: float, label: str) -> None:
    """From zero, with room for the number beside the longest bar."""
    axis.set_xlim(0, (farthest or 1.0) * 1.3)
    axis.xaxis.set_major_locator(few_ticks())
    axis.set_xlabel(label)
    axis.grid(axis="x", color=GRID, lw=0.4)


def _about(table: Table, point: str) -> list[Row]:
    return [row for row in table.rows if row.tags["point"] == point]


def _known(table: Table, row: Row) -> int:
    return sum(table.cell(row, key).value is not None for key, _ in PHASES)


FIGURE = Compilation()
