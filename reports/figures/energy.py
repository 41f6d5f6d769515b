"""Latency against the energy of a call: who is fast, who is frugal, and who is both."""

from steelyard.render.charts import Mark, left_out, log_axis, marks
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.labels import Box, End, beside
from steelyard.render.style import FAINT, GRID, INK, Look, arm_styles, short
from steelyard.tables.table import ReportData

PANELS = 3


class EnergyFigure:
    """A dot a backend with both intervals; the line joins those that no other one beats in both."""

    name = "energy"
    title = "Latency and energy"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw latency and energy of the points that have both."""
        table = data.table("energy")
        joules = marks(table, "energy_j") if table.rows else {}
        latency = {
            (mark.point, mark.arm): mark
            for speed in data.speed_tables()
            for group in marks(speed, "latency_s").values()
            for mark in group
        }
        pairs: dict[str, list[tuple[Mark, Mark]]] = {}
        for mark in (mark for group in joules.values() for mark in group):
            fast = latency.get((mark.point, mark.arm))
            if fast is not None and fast.value is not None and mark.value is not None:
                pairs.setdefault(mark.point, []).append((fast, mark))
        if not pairs:
            return Drawing(figure=None, reason=table.empty or "no backend gave both a latency and an energy")
        height = 1.6 * look.scale
        chosen = list(pairs)[: max(1, min(PANELS, int(look.height_in / height)))]
        styles = arm_styles(data.arms, data.baseline)
        figure = new_figure(look.column_in, height * len(chosen))
        axes = [row[0] for row in figure.subplots(len(chosen), 1, squeeze=False)]
        for axis, point in zip(axes, chosen, strict=True):
            for fast, frugal in pairs[point]:
                style = styles[fast.arm]
                axis.errorbar([fast.value], [frugal.value], xerr=_reach(fast), yerr=_reach(frugal), fmt=style.marker,
                              color=style.colour, mec=INK, mew=0.3, ecolor=INK, elinewidth=0.6,
                              capsize=1.4)  # fmt: skip
            front = frontier([(a.value or 0.0, b.value or 0.0) for a, b in pairs[point]])
            axis.plot([x for x, _ in front], [y for _, y in front], color=FAINT, lw=0.6, ls=(0, (3, 2)), zorder=0.8)
            for side, values in (("x", [a.value or 0.0 for a, _ in pairs[point]]),
                                 ("y", [b.value or 0.0 for _, b in pairs[point]])):  # fmt: skip
                _scale(axis, side, values)
            ends = [
                End(text=a.arm, x=a.value or 0.0, y=b.value or 0.0, colour=styles[a.arm].colour)
                for a, b in pairs[point]
            ]
            marked = [_box(a, b) for a, b in pairs[point]]
            beside(axis, ends, marked, look, (0.84 * look.column_in, 0.68 * height))
            axis.set_ylabel("energy of a call [J]")
            axis.set_title(short(point, look.characters(look.column_in) - 10))
            axis.grid(color=GRID, lw=0.4)
        axes[-1].set_xlabel("latency of a call [ms] (lower left is better)")
        return Drawing(
            figure=figure,
            caption=f"Latency and energy of one call on {data.device}; {table.basis}. The dashed line joins the "
            f"backends that no other beats in both by its middle.{left_out(len(chosen), len(pairs))}",
            columns=(
                *("point", "backend"),
                *("latency_ms", "latency_low_ms", "latency_high_ms", "energy_j", "energy_low_j", "energy_high_j"),
            ),
            rows=tuple(
                (point, a.arm, a.value, a.low, a.high, b.value, b.low, b.high)
                for point, group in pairs.items()
                for a, b in group
            ),
            alternative="Dots of latency against energy, one per backend; the numbers are in the tables of speed and "
            "energy.",
        )


def frontier(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other one is below in both, from left to right."""
    kept: list[tuple[float, float]] = []
    for x, y in sorted(points):
        if not kept or y < kept[-1][1]:
            kept.append((x, y))
    return kept


def _reach(mark: Mark) -> list[list[float]] | None:
    if mark.value is None or mark.low is None or mark.high is None:
        return None
    return [[max(0.0, mark.value - mark.low)], [max(0.0, mark.high - mark.value)]]


def _box(across: Mark, up: Mark) -> Box:
    """What a dot and its whiskers cover."""
    (left, right), (bottom, top) = (
        (mark.low or mark.value or 0.0, mark.high or mark.value or 0.0) for mark in (across, up)
    )
    return left, bottom, right, top


def _scale(axis: object, side: str, values: list[float]) -> None:
    """A log axis with room for the names on both sides."""
    low, high = min(values), max(values)
    room = max(1.3, (high / low) ** 0.25)
    log_axis(axis, side, low / room, high * room ** (2 if side == "x" else 1))


FIGURE = EnergyFigure()
