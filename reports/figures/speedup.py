"""Speed-up over the baseline with its interval, the band of ties and the noise floor: a forest plot."""

from typing import Any

from steelyard.render.charts import Mark, approximated, labels, left_out, log_axis, marks, stacked, whiskers
from steelyard.render.drawing import Drawing
from steelyard.render.style import BAND, FAINT, GRID, INK, TIE, Look, arm_styles, short
from steelyard.tables.format import TIMES, decimals, fixed
from steelyard.tables.table import ReportData

MARGIN = 0.02
"""Half-width of the band in which two backends count as equivalent."""


class Speedup:
    """Points right of the line are faster than the baseline; hollow ones carry no verdict of a difference."""

    name = "speedup"
    title = "Speed-up over the baseline"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the speed-up columns of the speed tables."""
        groups: dict[str, list[Mark]] = {}
        verdicts: dict[tuple[str, str], str] = {}
        for table in data.speed_tables():
            for point, group in marks(table, "speedup").items():
                groups[point] = [mark for mark in group if mark.arm != data.baseline]
            for row in table.rows:
                verdicts[row.tags["point"], row.tags["arm"]] = row.tags["verdict"]
        groups = {point: group for point, group in groups.items() if group}
        drawn = [mark for group in groups.values() for mark in group if mark.value is not None]
        if not drawn:
            return Drawing(figure=None, reason=f"nothing could be compared with {data.baseline}")
        floors = self._floors(data)
        styles = arm_styles(data.arms, data.baseline)
        figure, axes = stacked(list(groups.values()), look)
        low = min([0.9, *(mark.low or mark.value or 1.0 for mark in drawn)]) / 1.2
        high = max([1.1, *(mark.high or mark.value or 1.0 for mark in drawn)]) * 1.1
        for axis, (point, group) in zip(axes, groups.items(), strict=False):
            axis.set_title(short(point, look.characters(look.column_in / look.across) - 18))
            floor = floors.get(point)
            if floor is not None:
                axis.axvspan(1 / (1 + floor), 1 + floor, color=BAND, lw=0, zorder=0)
            axis.axvspan(1 - MARGIN, 1 + MARGIN, color=TIE, lw=0, zorder=0.5)
            axis.axvline(1, color=INK, lw=0.6, zorder=1)
            whiskers(axis, group)
            for position, mark in enumerate(group):
                if mark.value is None:
                    _beside(axis, position, mark.word, look, color=FAINT, style="italic")
                    continue
                style = styles[mark.arm]
                verdict = verdicts[point, mark.arm]
                filled = verdict in ("faster", "slower")
                face, edge, width = (style.colour, INK, 0.5) if filled else ("white", style.colour, 1.0)
                axis.plot([mark.value], [position], marker=style.marker, ls="none", mec=edge, mfc=face, mew=width,
                          zorder=6)  # fmt: skip
                text = f"{mark.sign}{fixed(mark.value, decimals(mark.value))}{TIMES}"
                if verdict not in ("faster", "slower", "equivalent"):
                    text += f" {verdict}"
                _beside(axis, position, text, look, color=INK, weight="bold" if mark.strong else "normal")
            labels(axis, group)
            room = (high / low) ** 0.04
            log_axis(axis, "x", low / room, high * room, suffix=TIMES)
            axis.grid(axis="x", color=GRID, lw=0.4)
        figure.supxlabel(f"speed-up over {short(data.baseline)} (right is faster)", fontsize=look.size_pt)
        rows = tuple(
            (m.point, m.arm, m.value, m.low, m.high, verdicts[m.point, m.arm], floors.get(m.point))
            for group in groups.values()
            for m in group
        )
        return Drawing(
            figure=figure,
            caption=f"Speed-up over {data.baseline} on {data.device} from paired rounds; verdicts are "
            f"adjusted for the family, the whiskers hold each by itself; {data.speed_tables()[0].basis} of latency. "
            f"Dark band: margin of equivalence; light band: noise floor of the control arm. Filled marks: "
            f"verdict faster or slower; hollow marks: no such verdict.{left_out(len(axes), len(groups))}"
            f"{approximated(groups.values())}",
            columns=("point", "backend", "speedup", "low", "high", "verdict", "noise_floor"),
            rows=rows,
            alternative=f"Forest plot of speed-ups over {data.baseline}; the numbers are in the speed tables.",
        )

    def _floors(self, data: ReportData) -> dict[str, float | None]:
        table = data.table("control")
        return {
            row.tags["point"]: table.cell(row, "floor").value for row in table.rows if row.tags["metric"] == "latency_s"
        }


def _beside(axis: Any, position: int, text: str, look: Look, **how: Any) -> None:
    """A number or word right of the panel, where no mark can be."""
    axis.annotate(text, (1, position), (3, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                  ha="left", va="center", fontsize=look.small_pt, **how)  # fmt: skip


FIGURE = Speedup()
