"""Every call of every launch in time order: drift, warm-up and contaminated rounds as they were."""

from typing import Any

import numpy as np

from steelyard.render.charts import not_drawn
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.style import BAND, FAINT, GRID, INK, Look, arm_styles, short, shorts
from steelyard.tables.samples import LaunchCalls, Timeline
from steelyard.tables.table import ReportData

STRIP_IN = 0.42
LEAST_SPAN = 4.0
"""Percent that the strips show to both sides at least, so that a quiet machine looks quiet."""

_LABELS = ("from the middle of the backend [%]", "from the middle [%]", "[%]")
"""The first of these that the strips have room for."""


class TimeOrder:
    """A strip per backend, a column per round; within a column the calls of the launch, the first to the last."""

    name = "time_order"
    title = "Time order"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the time line of the samples."""
        timeline = data.samples.timeline
        if timeline is None:
            return Drawing(figure=None, reason="no warm launch of the headline workload gave a median")
        strip = STRIP_IN * look.scale
        arms = timeline.arms[: max(1, int((look.height_in - 0.5 * look.scale) / strip))]
        figure = new_figure(look.column_in, 0.5 * look.scale + strip * len(arms))
        figure.get_layout_engine().set(hspace=0, h_pad=0.01)
        axes = figure.subplots(len(arms), 1, sharex=True, squeeze=False)[:, 0]
        low, high = _span(timeline)
        beyond = 0
        for axis, arm in zip(axes, arms, strict=True):
            beyond += self._strip(axis, timeline, arm, data, look, (low, high))
        axes[0].set_title(short(timeline.point, look.characters(look.column_in) - 12))
        grouped = any(column.group for column in timeline.columns)
        names = [f"{column.round}.{column.group + 1}" if grouped else str(column.round) for column in timeline.columns]
        step = -(-len(names) // 12)
        axes[-1].set_xticks([place + 0.5 for place in range(0, len(names), step)], names[::step])
        axes[-1].set_xlabel(f"round{'.group' if grouped else ''} (within it the calls of a launch, in time order)")
        room = strip * len(arms)
        label = next(text for text in _LABELS if text == _LABELS[-1] or look.inches(len(text)) <= room)
        figure.supylabel(label, fontsize=look.size_pt)
        return Drawing(
            figure=figure,
            caption=self._caption(data, timeline, beyond, len(arms)),
            columns=("backend", "round", "position", "place_in_launch", "latency_s", "over_middle", "warm_up"),
            rows=tuple(
                (*(launch.arm, launch.column.round, launch.position), float(place), float(value), float(ratio), word)
                for launch in timeline.launches
                for place, value, ratio, word in zip(
                    launch.places, launch.values_s, launch.over_middle, _warm_words(launch), strict=True
                )
            ),
            alternative="Strips of single calls over the rounds, one per backend; medians of the launches are in the "
            "CSV of launches.",
        )

    def _caption(self, data: ReportData, timeline: Timeline, beyond: int, shown: int) -> str:
        kept = "" if timeline.kept == timeline.total else (
            f" {timeline.kept} of {timeline.total} calls are drawn, of each stretch the lowest and the highest."
        )  # fmt: skip
        contaminated = ", ".join(map(str, sorted(timeline.contaminated)))
        hatched = f" Hatched: contaminated rounds, which count nowhere ({contaminated})." if contaminated else ""
        resumed = " Thick lines: the run was resumed." if timeline.resumed else ""
        edge = f" {beyond} calls lie beyond the strips and are drawn as triangles at their edge." if beyond else ""
        more = not_drawn(len(timeline.arms) - shown)
        return (
            f"Every call of {timeline.point} on {data.device} in time order, over the middle of its backend: "
            f"n = {timeline.total} calls in {len(timeline.launches)} launches. Pale: calls before the warm-up cut; "
            f"bars: the median of each launch; no interval. A slope or step that all strips share is drift of the "
            f"machine.{kept}{hatched}{resumed}{edge}{more}"
        )

    def _strip(
        self, axis: Any, timeline: Timeline, arm: str, data: ReportData, look: Look, span: tuple[float, float]
    ) -> int:
        style = arm_styles(data.arms, data.baseline).get(arm)
        colour = INK if style is None else style.colour
        places = {column: place for place, column in enumerate(timeline.columns)}
        launches = [launch for launch in timeline.launches if launch.arm == arm]
        x = np.concatenate([places[launch.column] + 0.08 + 0.84 * launch.places for launch in launches])
        y = np.concatenate([100 * (launch.over_middle - 1) for launch in launches])
        warm = np.concatenate([_warm(launch) for launch in launches])
        outside = (y < span[0]) | (y > span[1])
        size = 1.3 * look.scale
        for chosen, shade in ((warm & ~outside, FAINT), (~warm & ~outside, colour)):
            axis.plot(x[chosen], y[chosen], ls="none", marker=".", ms=2 * size, mew=0, color=shade,
                      alpha=0.55 if shade is FAINT else 0.9)  # fmt: skip
        for chosen, edge, marker in ((outside & (y > span[1]), span[1], "^"), (outside & (y < span[0]), span[0], "v")):
            axis.plot(x[chosen], np.full(int(chosen.sum()), 0.94 * edge), ls="none", marker=marker, ms=2 * size, mew=0,
                      color=FAINT)  # fmt: skip
        medians = {places[launch.column]: launch.median for launch in launches if launch.median is not None}
        left = np.array(list(medians)) + 0.1
        axis.hlines([100 * (median - 1) for median in medians.values()], left, left + 0.8, colors=INK, lw=0.9, zorder=5)
        heavy = [column.round in timeline.resumed and column.group == 0 for column in places]
        axis.vlines(list(places.values()), 0, 1, transform=axis.get_xaxis_transform(), zorder=0.5,
                    colors=[INK if thick else GRID for thick in heavy],
                    lw=[1.0 if thick else 0.4 for thick in heavy])  # fmt: skip
        for column, place in places.items():
            if column.round in timeline.contaminated:
                axis.axvspan(place, place + 1, facecolor=BAND, edgecolor="#bbbbbb", hatch="////", lw=0, zorder=0)
            word = timeline.failed.get((arm, column))
            if word:
                axis.text(place + 0.5, 0, "✗", ha="center", va="center", fontsize=look.small_pt, color=FAINT)
        axis.axhline(0, color=FAINT, lw=0.4, zorder=0.6)
        axis.set_ylim(span)
        axis.set_xlim(0, len(places))
        axis.set_yticks([_round(span[0]), 0, _round(span[1])])
        axis.tick_params(axis="y", labelsize=look.small_pt * 0.92)
        axis.tick_params(axis="x", length=0)
        axis.annotate(shorts(timeline.arms)[arm], (1.015, 0.5), xycoords="axes fraction", ha="left", va="center",
                      fontsize=look.small_pt)  # fmt: skip
        return int(outside.sum())


def _span(timeline: Timeline) -> tuple[float, float]:
    """Percent below and above the middle that the strips show: nearly all calls after the warm-up."""
    steady = np.concatenate([100 * (launch.over_middle[~_warm(launch)] - 1) for launch in timeline.launches])
    if not steady.size:
        return -LEAST_SPAN, LEAST_SPAN
    low, high = np.quantile(steady, [0.01, 0.98])
    return min(-LEAST_SPAN, float(low)) * 1.15, max(LEAST_SPAN, float(high)) * 1.15


def _round(value: float) -> int:
    """A tick within a limit: a whole number of percent, 5 or 10 where there are many."""
    step = 1 if abs(value) < 10 else 5 if abs(value) < 40 else 10
    return int(abs(value) * 0.9 / step) * step * (1 if value > 0 else -1)


def _warm(launch: LaunchCalls) -> Any:
    return launch.places < launch.warm_up


def _warm_words(launch: LaunchCalls) -> list[str]:
    return ["yes" if warm else "no" for warm in _warm(launch)]


FIGURE = TimeOrder()
