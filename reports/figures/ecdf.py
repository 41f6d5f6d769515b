"""The distribution of single calls: what share of them took at most so long."""

from typing import Any

from steelyard.render.charts import few_ticks, left_out, log_axis
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.style import GRID, INK, Look, arm_styles, short, shorts
from steelyard.tables.format import counted, decimals, factor, fixed
from steelyard.tables.samples import Distribution
from steelyard.tables.table import ReportData

LOG_FROM = 4.0
"""Ratio of the slowest to the fastest call of a panel from which the axes of all panels are logarithmic."""


class Ecdf:
    """Steps of the empirical distribution; a mark at the median; the key is in the order of the medians."""

    name = "ecdf"
    title = "Distribution of calls"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the distributions of the samples, a panel per point."""
        found: dict[str, list[Distribution]] = {}
        for item in data.samples.distributions:
            found.setdefault(item.point, []).append(item)
        if not found:
            return Drawing(figure=None, reason=data.samples.reason or "no backend gave a latency")
        groups = {point: sorted(items, key=lambda item: item.quantile(0.5)) for point, items in found.items()}
        heights = [look.scale * max(1.25, 0.4 + 0.115 * len(items)) for items in groups.values()]
        shown = max(1, sum(sum(heights[: count + 1]) <= look.height_in for count in range(len(heights))))
        figure = new_figure(look.column_in, sum(heights[:shown]))
        axes = figure.subplots(shown, 1, height_ratios=heights[:shown], squeeze=False)[:, 0]
        spans = {point: _span(items) for point, items in groups.items()}
        logarithmic = any(high / low > LOG_FROM for low, high in spans.values())
        for axis, (point, items) in zip(axes, groups.items(), strict=False):
            self._panel(axis, items, data)
            low, high = spans[point]
            if logarithmic:
                log_axis(axis, "x", low / 1.05, high * 1.1)
            else:
                axis.set_xlim(low - 0.03 * (high - low), high + 0.06 * (high - low))
                axis.xaxis.set_major_locator(few_ticks())
            axis.set_title(short(point, look.characters(look.column_in) - 10))
        axes[-1].set_xlabel("latency of a call [ms]")
        calls = sum(item.calls for items in groups.values() for item in items)
        drawn = sum(len(item.values_s) for items in groups.values() for item in items)
        thinned = f" The curves have {drawn} steps of {calls} calls, the slowest ones all." if drawn < calls else ""
        launches = [item.launches for item in data.samples.distributions]
        count = str(min(launches)) if min(launches) == max(launches) else f"{min(launches)} to {max(launches)}"
        return Drawing(
            figure=figure,
            caption=f"Empirical distribution of the latency of single calls on {data.device}: n = {calls} calls after "
            f"the warm-up cut, from {count} launches per backend that count equally; no interval, as it is the spread "
            f"of calls and not the uncertainty of a mean. The key gives the median and the 99th percentile in "
            f"ms.{thinned}{left_out(shown, data.samples.points)}",
            columns=("point", "backend", "latency_ms", "share", "calls", "launches"),
            rows=tuple(
                (item.point, item.arm, float(value) * factor("s", "ms"), float(share), item.calls, item.launches)
                for item in data.samples.distributions
                for value, share in zip(item.values_s, item.shares, strict=True)
            ),
            alternative=f"Distribution curves of {counted(calls, 'call')}; medians are in the speed tables.",
        )

    def _panel(self, axis: Any, items: list[Distribution], data: ReportData) -> None:
        styles = arm_styles(data.arms, data.baseline)
        scale = factor("s", "ms")
        names = shorts(data.arms)
        for item in items:
            style = styles[item.arm]
            values = item.values_s * scale
            middle, slow = item.quantile(0.5) * scale, item.quantile(0.99) * scale
            axis.step([values[0], *values], [0.0, *(100 * item.shares)], where="post", color=style.colour,
                      ls=style.line)  # fmt: skip
            numbers = f"{fixed(middle, decimals(middle))} | {fixed(slow, decimals(slow))}"
            axis.plot([middle], [50], color=style.colour, ls=style.line, marker=style.marker, mec=INK, mew=0.4,
                      label=f"{names[item.arm]}  {numbers}")  # fmt: skip
        axis.set_ylim(0, 102)
        axis.set_yticks([0, 50, 100])
        axis.set_ylabel("calls [%]")
        axis.grid(color=GRID, lw=0.4)
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.8, handletextpad=0.4, borderpad=0,
                    labelspacing=0.25)  # fmt: skip


def _span(items: list[Distribution]) -> tuple[float, float]:
    """The fastest call and nearly the slowest one of a panel, in ms."""
    scale = factor("s", "ms")
    low = min(float(item.values_s[0]) for item in items) * scale
    return low, max(item.quantile(0.995) for item in items) * scale


FIGURE = Ecdf()
