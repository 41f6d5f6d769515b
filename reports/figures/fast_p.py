"""How often each backend is right and how many times as fast as the baseline: fast_p for every p."""

from steelyard.render.charts import log_axis
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.labels import End, at_ends
from steelyard.render.style import GRID, INK, Look, arm_styles, short
from steelyard.tables.format import TIMES
from steelyard.tables.table import ReportData


class FastP:
    """Steps: the share of configurations with right answers and a speed-up above p. Higher and further left wins; the
    height at 1 is how often a backend is faster at all. Drawn from 8 configurations on.
    """

    name = "fast_p"
    title = "Configurations by speed-up"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the speed-ups of all configurations."""
        table = data.table("fast-p")
        if not table.rows:
            return Drawing(figure=None, reason=table.empty)
        steps: dict[str, list[tuple[float, float]]] = {}
        for row in table.rows:
            speedup, share = table.cell(row, "speedup").value, table.cell(row, "share").value
            if speedup is not None and share is not None:
                steps.setdefault(row.tags["arm"], []).append((speedup, share))
        every = [speedup for found in steps.values() for speedup, _ in found]
        left, right = min(0.9, *every) / 1.05, max(1.1, *every) * 1.05
        styles = arm_styles(data.arms, data.baseline)
        height = look.scale * 1.9
        figure = new_figure(look.column_in, height)
        axis = figure.subplots()
        axis.axvline(1, color=INK, lw=0.6, zorder=0.5)
        ends = []
        for arm, found in steps.items():
            style, rising = styles[arm], found[::-1]
            places = [left, *(speedup for speedup, _ in rising), right]
            shares = [*(share for _, share in rising), 0.0, 0.0]
            axis.step(places, [100 * share for share in shares], where="post", color=style.colour, ls=style.line)
            ends.append(End(text=arm, x=left, y=100 * rising[0][1], colour=style.colour))
        log_axis(axis, "x", left, right, suffix=TIMES)
        axis.invert_xaxis()  # so that the lines end where they differ, and the names stand there
        axis.set_ylim(-3, 104)
        axis.set_yticks([0, 25, 50, 75, 100])
        at_ends(axis, ends, look, 0.8 * height)
        axis.set_xlabel(f"speed-up p over {short(data.baseline)} (left is faster)")
        axis.set_ylabel("configurations above p [%]")
        axis.grid(color=GRID, lw=0.4)
        return Drawing(
            figure=figure,
            caption=f"fast_p on {data.device}: {table.caption} The height at 1 is how often a backend is faster than "
            f"{data.baseline}, that at the right end how often its answers are right. Speed-ups: {table.basis}; the "
            "shares carry none.",
            columns=("backend", "point", "speedup", "share_of_points"),
            rows=tuple(
                (row.tags["arm"], row.tags["point"], *(table.cell(row, key).value for key in ("speedup", "share")))
                for row in table.rows
            ),
            alternative=f"Step curves, one per backend: the share of configurations that are right and more "
            f"than p times as fast as {data.baseline}.",
        )


FIGURE = FastP()
