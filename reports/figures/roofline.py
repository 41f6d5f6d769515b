"""Operations per second against intensity, below the roofs of the machine: who is bound by what, and how far away."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from steelyard.render.charts import key_columns, left_out, log_axis
from steelyard.render.drawing import Drawing, Value, new_figure
from steelyard.render.labels import BELOW_FIRST, Box, places
from steelyard.render.style import FAINT, GRID, INK, Look, arm_styles, shorts
from steelyard.tables.format import decimals, fixed, scaled
from steelyard.tables.table import ReportData, Row, Table

SHOWN = 16
"""Workload points in the picture; the CSV has all."""
_BOX = 0.72
"""Height of the panel over its width, less where the page is low; held, so that names can be turned as their lines."""
_WIDTH = 0.87
"""Width of the panel, of that of the figure."""
_DODGE = 0.013
"""Backends at one workload point stand beside each other, so many widths of the panel apart."""
_LINES = {"measured": "-", "declared": (0, (5, 2)), "computed": (0, (1, 1.5))}
_LINE = 1.3
"""Height of a line of labels, in type sizes."""
_UNDER_TEXT = {"facecolor": "white", "edgecolor": "none", "pad": 0.2, "alpha": 0.75}
_COLUMNS = (
    *("kind", "name", "backend", "origin", "intensity_flop_per_byte", "gflop_per_s", "gflop_low", "gflop_high"),
    *("gbyte_per_s", "gbyte_low", "gbyte_high", "suspicious"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnRoof:
    """A roof in printed units: GFLOP/s for arithmetic, GB/s for memory."""

    kind: str
    name: str
    origin: str
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnPoint:
    """A backend at a workload point: intensity in FLOP/B, rate in GFLOP/s."""

    arm: str
    point: str
    intensity: float
    rate: float
    low: float | None
    high: float | None
    suspicious: bool


class Roofline:
    """Slanted roofs are bandwidths, level ones peaks; solid measured, dashed declared, dotted computed."""

    name = "roofline"
    title = "Roofline"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the tables of roofs and of efficiency."""
        table, reached = data.table("roofs"), data.table("efficiency")
        if not table.rows:
            return Drawing(figure=None, reason=table.empty)
        points = _points(reached)
        if not points:
            return Drawing(figure=None, reason="no backend has both a time and counts of operations and bytes")
        roofs = [_roof(table, row) for row in table.rows]
        names = list(dict.fromkeys(point.point for point in points))
        shown = [point for point in points if point.point in names[:SHOWN]]
        arms = shorts(arm for arm in data.arms if any(point.arm == arm for point in shown))
        columns = key_columns(list(arms.values()), look)
        around = look.scale * (0.37 + 0.135 * math.ceil(len(arms) / columns))
        height = min(_BOX * _WIDTH * look.column_in + around, look.height_in)
        box = (height - around) / (_WIDTH * look.column_in)
        figure = new_figure(look.column_in, height)
        axis = figure.subplots()
        axis.set_box_aspect(box)
        x, y = _limits(shown, roofs)
        for side, (low, high) in (("x", x), ("y", y)):
            log_axis(axis, side, low, high)
        size = _WIDTH * look.column_in, box * _WIDTH * look.column_in
        _draw_roofs(axis, roofs, x, y, look, size)
        marked = _draw_points(axis, shown, data, x, arms)
        _name_points(axis, shown, marked, look, size)
        axis.set_xlabel("operations per byte [FLOP/B]")
        axis.set_ylabel("operations per second [GFLOP/s]")
        axis.grid(color=GRID, lw=0.4)
        figure.legend(loc="outside lower center", ncols=columns,
                      handlelength=1.2, handletextpad=0.3, columnspacing=1.2, borderpad=0.1)  # fmt: skip
        doubtful = " Hollow: above its ceiling, suspicious." if any(point.suspicious for point in shown) else ""
        return Drawing(
            figure=figure,
            caption=f"Roofline on {data.device}: operations per second over operations per byte that cannot be "
            f"avoided; {reached.basis}. Slanted roofs are bandwidths, level ones peaks: solid measured, dashed "
            "declared, dotted computed; dots mark the ridges, with their operations per byte. Backends at a "
            f"configuration have one intensity and stand beside each other to be seen.{doubtful}"
            f"{left_out(min(SHOWN, len(names)), len(names))}",
            columns=_COLUMNS,
            rows=(*_csv_roofs(table), *_csv_points(points)),
            alternative="Dots of backends below the roofs of the machine; the numbers are in the tables of efficiency "
            "and roofs.",
        )


def _points(table: Table) -> list[DrawnPoint]:
    column = table.columns[table.index("flop_per_s")] if table.rows else None
    found = []
    for row in table.rows:
        assert column is not None
        cell, intensity = table.cell(row, "flop_per_s"), table.cell(row, "intensity").value
        if cell.value is None or intensity is None:
            continue
        ends = cell.interval
        found.append(
            DrawnPoint(
                arm=row.tags["arm"],
                point=row.tags["point"],
                intensity=intensity,
                rate=scaled(cell.value, column),
                low=None if ends is None else scaled(ends.low, column),
                high=None if ends is None else scaled(ends.high, column),
                suspicious="suspicious" in row.tags,
            )
        )
    return found


def _roof(table: Table, row: Row) -> DrawnRoof:
    key = "flop_per_s" if row.tags["kind"] == "compute" else "bytes_per_s"
    value = table.cell(row, key).value
    assert value is not None
    rate = scaled(value, table.columns[table.index(key)])
    return DrawnRoof(kind=row.tags["kind"], name=row.tags["roof"], origin=row.tags["origin"], rate=rate)


def ridges(roofs: Sequence[DrawnRoof]) -> list[tuple[float, float]]:
    """Where each bandwidth meets the lowest peak: intensity, and operations per second there."""
    found = []
    for roof in roofs:
        peak = _peak_above(roof, roofs)
        if roof.kind == "memory" and peak is not None:
            found.append((peak / roof.rate, peak))
    return found


def _peak_above(roof: DrawnRoof, roofs: Sequence[DrawnRoof]) -> float | None:
    """The lowest peak of the roof's own origin, or of any where that has none."""
    peaks = [other for other in roofs if other.kind == "compute"]
    own = [other.rate for other in peaks if other.origin == roof.origin]
    return min(own or [other.rate for other in peaks], default=None)


def _limits(
    points: Sequence[DrawnPoint], roofs: Sequence[DrawnRoof]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The picture holds all points and ridges, and has room for names."""
    across = [point.intensity for point in points] + [x for x, _ in ridges(roofs)]
    x = min(across) / 4, max(across) * 4
    tops = [roof.rate for roof in roofs if roof.kind == "compute"] or [
        roof.rate * x[1] for roof in roofs if roof.kind == "memory"
    ]
    lows = [point.low or point.rate for point in points]
    highs = [*tops, *(point.high or point.rate for point in points)]
    return x, (min(lows) / 4, max(highs) * 2)


def _draw_roofs(
    axis: Any,
    roofs: Sequence[DrawnRoof],
    x: tuple[float, float],
    y: tuple[float, float],
    look: Look,
    size: tuple[float, float],
) -> None:
    small = {"textcoords": "offset points", "fontsize": look.small_pt}
    decade = size[0] / math.log(x[1] / x[0]), size[1] / math.log(y[1] / y[0])
    angle = math.atan(decade[1] / decade[0])
    fastest = max((roof.rate for roof in roofs if roof.kind == "memory"), default=None)
    for roof in roofs:
        strong = roof.name == "memory" or roof.kind == "compute"
        colour = INK if strong else FAINT
        style = {"color": colour, "lw": 0.9 if strong else 0.6, "ls": _LINES[roof.origin]}
        if roof.kind == "compute":
            start = x[0] if fastest is None else max(x[0], roof.rate / fastest)
            axis.plot([start, x[1]], [roof.rate] * 2, **style)
            continue
        peak = _peak_above(roof, roofs)
        left, right = max(x[0], y[0] / roof.rate), x[1] if peak is None else peak / roof.rate
        axis.plot([left, right], [roof.rate * left, roof.rate * right], **style)
        at = left * (x[1] / x[0]) ** 0.03
        origin = "" if roof.origin == "measured" else f" {roof.origin}"
        name = f"{roof.name}{origin} {_number(roof.rate)} GB/s"
        if look.inches(len(name)) > math.log(right / at) * decade[0] / math.cos(angle):
            name = f"{roof.name}{origin}"  # a line too short for its number, which the table of roofs has
        faster = [other.rate for other in roofs if other.kind == "memory" and other.rate > roof.rate]
        gap_in = math.log(min(faster) / roof.rate) * decade[1] * math.cos(angle) if faster else math.inf
        below = gap_in < _LINE * look.small_pt / 72  # no room between it and the next one
        axis.annotate(name, (at, roof.rate * at), (0, -1.5 if below else 1.5), rotation=math.degrees(angle),
                      rotation_mode="anchor", ha="left", va="top" if below else "bottom", color=colour,
                      **small)  # fmt: skip
    for dtype, same in groupby((roof for roof in roofs if roof.kind == "compute"), key=lambda roof: roof.name):
        told = sorted(same, key=lambda roof: -roof.rate)
        name = f"{dtype} {', '.join(f'{_number(roof.rate)} {roof.origin}' for roof in told)} [GFLOP/s]"
        axis.annotate(name, (x[1], told[0].rate), (-1, 2), ha="right", va="bottom", color=INK, zorder=6,
                      bbox=_UNDER_TEXT, **small)  # fmt: skip
    free = math.inf
    for place, peak in sorted(ridges(roofs), reverse=True):  # the last is that of memory, which matters most
        axis.plot([place], [peak], marker="o", ms=2, color=INK)
        if math.log(free / place) * decade[0] < look.inches(len(_number(place)) + 1):
            continue
        free = place
        axis.annotate(_number(place), (place, peak), (1.5, -2), ha="left", va="top", color=FAINT, **small)


def _draw_points(
    axis: Any, points: Sequence[DrawnPoint], data: ReportData, x: tuple[float, float], arms: Mapping[str, str]
) -> list[Box]:
    """Draw the dots and return what they cover, in data."""
    styles = arm_styles(data.arms, data.baseline)
    marked = []
    for place, arm in enumerate(arms):
        style = styles[arm]
        beside = (x[1] / x[0]) ** (_DODGE * (place - (len(arms) - 1) / 2))
        axis.plot([], [], marker=style.marker, color=style.colour, mec=INK, mew=0.3, ls="none", label=arms[arm])
        for point in (point for point in points if point.arm == arm):
            reach = None
            if point.low is not None and point.high is not None:
                reach = [[max(0.0, point.rate - point.low)], [max(0.0, point.high - point.rate)]]
            axis.errorbar([point.intensity * beside], [point.rate], yerr=reach, fmt=style.marker, ecolor=INK,
                          elinewidth=0.6, capsize=1.4, mfc="white" if point.suspicious else style.colour, zorder=5,
                          mec=style.colour if point.suspicious else INK, ms=3.2,
                          mew=0.8 if point.suspicious else 0.3)  # fmt: skip
            across = point.intensity * beside
            marked.append((across, point.low or point.rate, across, point.high or point.rate))
    return marked


def _name_points(
    axis: Any, points: Sequence[DrawnPoint], marked: Sequence[Box], look: Look, size: tuple[float, float]
) -> None:
    """The name of each workload point beside its lowest dot; without one where the dots leave no place."""
    lowest: dict[str, DrawnPoint] = {}
    for point in points:
        if point.point not in lowest or point.rate < lowest[point.point].rate:
            lowest[point.point] = point
    names = shorts(lowest, 16)
    convert = axis.transData + axis.transAxes.inverted()
    reach = 0.45 * look.size_pt / 72 / size[0], 0.45 * look.size_pt / 72 / size[1]
    taken = []
    for left, bottom, right, top in marked:
        (x0, y0), (x1, y1) = convert.transform([(left, bottom), (right, top)]).tolist()
        taken.append((x0 - reach[0], y0 - reach[1], x1 + reach[0], y1 + reach[1]))
    order = sorted(lowest.values(), key=lambda point: (point.intensity, point.point))
    found = places(
        [tuple(convert.transform((point.intensity, point.low or point.rate)).tolist()) for point in order],
        [(look.inches(len(names[point.point])) / size[0], 1.1 * look.small_pt / 72 / size[1]) for point in order],
        taken,
        (1.2 * reach[0], 1.2 * reach[1]),
        BELOW_FIRST,
    )
    for point, place in zip(order, found, strict=True):
        if place is not None:
            axis.text(place[0], place[1], names[point.point], transform=axis.transAxes, va="bottom", color=INK,
                      fontsize=look.small_pt, bbox=_UNDER_TEXT, zorder=6)  # fmt: skip


def _number(value: float) -> str:
    return fixed(value, decimals(value))


def _csv_roofs(table: Table) -> list[tuple[Value, ...]]:
    lines: list[tuple[Value, ...]] = []
    for row in table.rows:
        numbers: list[Value] = []
        for key in ("flop_per_s", "bytes_per_s"):
            column, cell = table.columns[table.index(key)], table.cell(row, key)
            ends = (None, None) if cell.interval is None else (cell.interval.low, cell.interval.high)
            numbers += [None if value is None else scaled(value, column) for value in (cell.value, *ends)]
        lines.append((f"{row.tags['kind']} roof", row.tags["roof"], "", row.tags["origin"], None, *numbers, ""))
    return lines


def _csv_points(points: Sequence[DrawnPoint]) -> list[tuple[Value, ...]]:
    return [
        ("point", p.point, p.arm, "measured", p.intensity, p.rate, p.low, p.high, None, None, None,
         "yes" if p.suspicious else "")
        for p in points
    ]  # fmt: skip


FIGURE = Roofline()
