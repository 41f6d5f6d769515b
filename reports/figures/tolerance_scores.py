"""What the speed-up over all configurations is worth at each tolerance: S(t) and ES(t) of GraphNet."""

from steelyard.render.charts import log_axis
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.labels import End, at_ends
from steelyard.render.style import GRID, INK, Look, arm_styles
from steelyard.tables.format import TIMES
from steelyard.tables.table import ReportData


class ToleranceScores:
    """Lines by tolerance level, strict on the left: solid S(t), dotted ES(t) where it differs. Higher wins, and sooner.
    Drawn from 8 configurations on, of runs that recorded how close their answers are element by element.
    """

    name = "tolerance_scores"
    title = "Speed-up by tolerance"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw both scores of each backend over the levels."""
        table = data.table("tolerance-scores")
        if not table.rows:
            return Drawing(figure=None, reason=table.empty)
        lines: dict[str, list[tuple[float, float, float]]] = {}
        for row in table.rows:
            level, score, forgiving = (table.cell(row, key).value for key in ("level", "s", "es"))
            if level is not None and score is not None and forgiving is not None:
                lines.setdefault(row.tags["arm"], []).append((level, score, forgiving))
        every = [value for found in lines.values() for _, *scores in found for value in scores]
        styles = arm_styles(data.arms, data.baseline)
        height = look.scale * 1.9
        figure = new_figure(look.column_in, height)
        axis = figure.subplots()
        axis.axhline(1, color=INK, lw=0.6, zorder=0.5)
        ends = []
        for arm, found in lines.items():
            style = styles[arm]
            levels, scores, lenient = zip(*found, strict=True)
            axis.plot(levels, scores, marker=style.marker, color=style.colour)  # solid, as dots are ES(t)
            unlike = [place for place, (_, score, other) in enumerate(found) if score != other]
            if unlike:
                first = max(0, unlike[0] - 1)
                axis.plot(levels[first:], lenient[first:], color=style.colour, ls=":")
            ends.append(End(text=arm, x=levels[-1], y=lenient[-1], colour=style.colour))
        log_axis(axis, "y", min(0.9, *every) / 1.1, max(1.1, *every) * 1.1, suffix=TIMES)
        at_ends(axis, ends, look, 0.8 * height)
        axis.set_xlabel("tolerance level t (strict on the left)")
        axis.set_ylabel("mean speed-up")
        axis.grid(color=GRID, lw=0.4)
        return Drawing(
            figure=figure,
            caption=f"Speed-up over {data.baseline} by tolerance on {data.device}. {table.caption} Solid: S(t); "
            f"dotted: ES(t) where it differs. Speed-ups: {table.basis}.",
            columns=("backend", "level", "s", "s_low", "s_high", "es", "es_low", "es_high"),
            rows=tuple(
                (
                    *(row.tags["arm"], table.cell(row, "level").value),
                    *(table.cell(row, "s").numbers + table.cell(row, "es").numbers),
                )
                for row in table.rows
            ),
            alternative="Lines over tolerance levels, one per backend: the geometric mean of the speed-up in which an "
            "answer that is not close enough counts a tenth.",
        )


FIGURE = ToleranceScores()
