"""Small drawings of series, as SVG that takes its colours from the page."""

import math
from collections.abc import Sequence
from statistics import median

from markupsafe import Markup

from steelyard.dashboard.content import Coverage, every_night, parts
from steelyard.history.changes import Told

SPARK = (120.0, 22.0)
CHART = (860.0, 260.0)
_MOST = 60
"""Points of a small drawing: of more nights each is the median of several."""
_LEAST_SPAN = 0.1
_MARGIN = (64.0, 12.0, 14.0, 26.0)
"""Left, right, above and below the area of a chart."""


def spark(told: Told) -> Markup:
    """The nights of a series that count, without axes, over a tenth of their level at least, so that noise looks like
    noise; an image without content for those who cannot see it, since the numbers stand beside it."""
    values = [night.value for level in told.levels for night in level.nights if night.value is not None]
    if len(values) < 2:
        return Markup()
    size = -(-len(values) // _MOST)
    shown = [median(values[start : start + size]) for start in range(0, len(values), size)]
    width, height = SPARK
    middle = (max(shown) + min(shown)) / 2
    reach = max((max(shown) - min(shown)) / 2, _LEAST_SPAN / 2 * middle)
    heights = parts(shown, height - 4, middle + reach, middle - reach)
    step = (width - 4) / max(1, len(shown) - 1)
    points = " ".join(f"{2 + step * place:.1f},{2 + y:.1f}" for place, y in enumerate(heights))
    return Markup('<svg class="spark" viewBox="0 0 {} {}" aria-hidden="true"><polyline points="{}"/></svg>').format(
        f"{width:g}", f"{height:g}", points
    )


def chart(told: Told) -> Markup:
    """Every night of a series with its levels; nights that count for nothing are rings. Times are in milliseconds,
    the axis begins at the lowest: what is looked for is a change."""
    nights = every_night(told)
    values = [night.value * 1e3 for night in nights if night.value is not None]
    if not values:
        return Markup()
    left, right, above, below = _MARGIN
    width, height = CHART
    low, high = min(values), max(values)
    pad = 0.08 * (high - low) or 0.05 * high
    low, high = low - pad, high + pad
    inner = height - above - below
    step = (width - left - right) / max(1, len(nights) - 1)
    across = {(night.run, night.created_utc): left + step * place for place, night in enumerate(nights)}
    levelled = {night.run for level in told.levels for night in level.nights}
    drawn = [Markup('<g class="axis">')]
    for value in _ticks(low, high):
        y = above + parts([value], inner, high, low)[0]
        drawn.append(
            Markup('<line x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end">{}</text>').format(
                left,
                width - right,
                f"{y:.1f}",
                f"{y:.1f}",
                left - 6,
                f"{y + 4:.1f}",
                f"{value:g}",
            )
        )
    for night, anchor in ((nights[0], "start"), (nights[-1], "end")):
        x = across[night.run, night.created_utc]
        drawn.append(
            Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(
                f"{x:.1f}", height - 6, anchor, night.created_utc[:10]
            )
        )
    drawn.append(Markup('</g><g class="levels">'))
    for level in told.levels:
        y = above + parts([level.value * 1e3], inner, high, low)[0]
        ends = [across[night.run, night.created_utc] for night in (level.nights[0], level.nights[-1])]
        drawn.append(
            Markup('<line x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                f"{ends[0] - 3:.1f}", f"{ends[1] + 3:.1f}", f"{y:.1f}", f"{y:.1f}"
            )
        )
    drawn.append(Markup('</g><g class="nights">'))
    for night in nights:
        if night.value is None:
            continue
        y = above + parts([night.value * 1e3], inner, high, low)[0]
        drawn.append(
            Markup('<circle class="{}" cx="{}" cy="{}" r="3"/>').format(
                "counts" if night.run in levelled else "not", f"{across[night.run, night.created_utc]:.1f}", f"{y:.1f}"
            )
        )
    drawn.append(Markup("</g>"))
    said = (
        f"{told.series.metric.removesuffix('_s')} in milliseconds over {len(nights)} nights, {len(told.levels)} levels"
    )
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        f"{width:g}", f"{height:g}", said, Markup().join(drawn)
    )


def covered(found: Coverage) -> Markup:
    """The share of a backend's cases that count, night by night, from none to all."""
    width, height = SPARK
    shares = [part / whole for part, whole in zip(found.counted, found.total, strict=True)]
    step = (width - 4) / max(1, len(shares) - 1)
    heights = parts(shares, height - 4, 1.0, 0.0)
    points = " ".join(f"{2 + step * place:.1f},{2 + y:.1f}" for place, y in enumerate(heights))
    return Markup('<svg class="spark" viewBox="0 0 {} {}" aria-hidden="true"><polyline points="{}"/></svg>').format(
        f"{width:g}", f"{height:g}", points
    )


def _ticks(low: float, high: float) -> Sequence[float]:
    """Round values within the ends, three to six of them: multiples of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.9)
    places = max(0, -math.floor(math.log10(step)))
    return [round(number * step, places) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
