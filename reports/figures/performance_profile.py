"""How close each backend comes to the fastest, over all configurations: a performance profile (Dolan and More)."""

from steelyard.render.charts import log_axis
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.labels import End, at_ends
from steelyard.render.style import GRID, Look, arm_styles
from steelyard.tables.format import TIMES
from steelyard.tables.table import ReportData


class PerformanceProfile:
    """Steps: the share of configurations at which a backend is within a factor of the fastest. Higher and further left
    wins. Drawn from 8 configurations on: below, a step is more than an eighth of them.
    """

    name = "performance_profile"
    title = "Performance profile"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the table of the profile."""
        table = data.table("profile")
        if not table.rows:
            return Drawing(figure=None, reason=table.empty)
        steps: dict[str, list[tuple[float, float]]] = {arm: [] for arm in data.arms}
        failed: dict[str, int] = {}
        for row in table.rows:
            ratio, share = table.cell(row, "ratio").value, table.cell(row, "share").value
            if ratio is None or share is None:
                failed[row.tags["arm"]] = failed.get(row.tags["arm"], 0) + 1
            else:
                steps[row.tags["arm"]].append((ratio, share))
        farthest = max(ratio for found in steps.values() for ratio, _ in found)
        right = max(1.2, farthest**1.06)
        styles = arm_styles(data.arms, data.baseline)
        height = look.scale * 1.9
        figure = new_figure(look.column_in, height)
        axis = figure.subplots()
        ends = []
        for arm, found in steps.items():
            style, last = styles[arm], found[-1][1] if found else 0.0
            places = [1.0, *(ratio for ratio, _ in found), right]
            shares = [0.0, *(share for _, share in found), last]
            axis.step(places, [100 * share for share in shares], where="post", color=style.colour, ls=style.line)
            ends.append(End(text=arm, x=right, y=100 * last, colour=style.colour))
        log_axis(axis, "x", 1 / right**0.02, right, suffix=TIMES)
        axis.set_ylim(-3, 104)
        axis.set_yticks([0, 25, 50, 75, 100])
        at_ends(axis, ends, look, 0.8 * height)
        axis.set_xlabel("latency within this factor of the fastest")
        axis.set_ylabel("configurations [%]")
        axis.grid(color=GRID, lw=0.4)
        told = ", ".join(f"{arm} {count}" for arm, count in failed.items())
        missing = f" Configurations not completed: {told}." if failed else " Every backend completed every one of them."
        return Drawing(
            figure=figure,
            caption=f"Performance profile (Dolan and Moré 2002) of latency on {data.device}. {table.caption}{missing} "
            f"The height at 1 is how often a backend is the fastest, that at the right end how often it ran at all. "
            f"Latencies: {table.basis}; the profile itself carries none.",
            columns=("backend", "point", "over_fastest", "share_of_points", "without_value"),
            rows=tuple(
                (
                    *(row.tags["arm"], row.tags["point"]),
                    *(table.cell(row, key).value for key in ("ratio", "share")),
                    table.cell(row, "ratio").text,
                )
                for row in table.rows
            ),
            alternative="Step curves, one per backend: the share of configurations within a factor of the fastest.",
        )


FIGURE = PerformanceProfile()
