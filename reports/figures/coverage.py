"""What ran and what did not: on this device, a matrix of backends and workload points, a glyph for how and why."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.render.charts import left_out
from steelyard.render.drawing import Drawing, new_figure
from steelyard.render.style import INK, Look, short, shorts
from steelyard.tables.table import ReportData, Table

GLYPHS = {
    "ok": ("✓", "#ffffff"),
    "incorrect": ("≠", "#f0b79a"),
    "fallback": ("↓", "#f6dfa5"),
    "unsupported": ("–", "#e4e4e4"),
    "out_of_memory": ("M", "#f0b79a"),
    "timed_out": ("T", "#f0b79a"),
    "crashed": ("✗", "#f0b79a"),
    "failed": ("F", "#f0b79a"),
    "skipped": ("·", "#e4e4e4"),
    "suite error": ("S", "#f0b79a"),
}
"""Glyph and shade of each status; the glyph alone tells them apart."""

ROW_IN = 0.17
LINE_IN = 0.12
MOST_REASONS = 6
"""So many reasons are written below the matrix; the table has all."""
_IN_CAPTION = 90
"""Characters of a reason in the caption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEnd:
    """How a backend ended at a point; `reason` is empty where it ended ok and did equal work."""

    status: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """A row of the matrix: one point or several of a workload that ended alike, and how each backend ended."""

    title: str
    points: int
    ended: Mapping[str, CaseEnd]


class Coverage:
    """Rows are configurations, columns backends; the number beside a glyph is that of its reason, told below.

    Backends that were left out before the run began stand among them. Where there are more points than a page has
    rows, points of a workload that ended alike share one.
    """

    name = "coverage"
    title = "Coverage"

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw the coverage table."""
        table = data.table("coverage")
        found = _found(table)
        points = list(dict.fromkeys(point for point, _ in found))
        arms = list(dict.fromkeys(row.tags["arm"] for row in table.rows))
        if not points:
            return Drawing(figure=None, reason="nothing was planned")
        workloads = {row.tags["point"]: row.tags["workload"] for row in table.rows}
        used = [status for status in GLYPHS if any(ended.status == status for ended in found.values())]
        reasons = list(dict.fromkeys(ended.reason for ended in found.values() if ended.reason))
        numbers = {reason: number for number, reason in enumerate(reasons[:MOST_REASONS], 1)}
        wide = look.characters(look.column_in)
        title = textwrap.wrap(data.device, wide - 8)
        head = 0.42 + 0.16 * len(title) + 0.035 * max(len(name) for name in shorts(arms, 14).values())
        most = 2 if len(points) <= _room(look, head + 2 * LINE_IN * len(numbers)) else 1
        told = [line for reason, number in numbers.items() for line in _lines(f"{number} {reason}", wide, most)]
        head += LINE_IN * len(told)
        each = {point: {arm: found[point, arm] for arm in arms if (point, arm) in found} for point in points}
        lines = [MatrixRow(title=point, points=1, ended=ended) for point, ended in each.items()]
        room = _room(look, head)
        if len(lines) > room:
            lines = _alike(each, workloads)
        drawn = lines[:room]
        figure = new_figure(look.column_in, look.scale * (head + ROW_IN * len(drawn)))
        axis = figure.subplots()
        self._matrix(axis, drawn, arms, numbers, look)
        figure.suptitle("\n".join(title), x=0.01, ha="left", fontsize=look.size_pt, fontweight="bold")
        key = "   ".join(f"{GLYPHS[status][0]} {_words(status)}" for status in used)
        figure.supxlabel("\n".join([key, *told]), fontsize=look.small_pt, ma="left", linespacing=1.25)
        return Drawing(
            figure=figure,
            caption=f"How each backend ended on each configuration on {data.device}: "
            + ", ".join(f"{GLYPHS[status][0]} {_words(status)}" for status in used)
            + f".{_why(numbers, len(reasons))}{_loss(drawn, len(points))}",
            columns=("point", "backend", "status", "reason"),
            rows=tuple((point, arm, ended.status, ended.reason) for (point, arm), ended in found.items()),
            alternative=f"Matrix of statuses: {_statuses(drawn)}.",
        )

    def _matrix(
        self, axis: Any, drawn: Sequence[MatrixRow], arms: Sequence[str], numbers: Mapping[str, int], look: Look
    ) -> None:
        from matplotlib.patches import Rectangle

        for place, line in enumerate(drawn):
            for arm, ended in line.ended.items():
                glyph, shade = GLYPHS[ended.status]
                column = arms.index(arm)
                axis.add_patch(
                    Rectangle((column - 0.5, place - 0.5), 1, 1, facecolor=shade, edgecolor="#bbbbbb", lw=0.5)
                )
                axis.text(column, place, glyph, ha="center", va="center", fontsize=1.1 * look.size_pt, color=INK)
                number = numbers.get(ended.reason)
                if number is not None:
                    axis.annotate(str(number), (column, place), (0.42 * look.size_pt, 0.05 * look.size_pt), color=INK,
                                  textcoords="offset points", fontsize=0.7 * look.small_pt)  # fmt: skip
        names = shorts(arms, 14)
        axis.set_xlim(-0.5, len(arms) - 0.5)
        axis.set_ylim(len(drawn) - 0.5, -0.5)
        axis.set_xticks(range(len(arms)), [names[arm] for arm in arms], rotation=35, ha="left", rotation_mode="anchor")
        axis.set_yticks(range(len(drawn)), list(shorts((line.title for line in drawn), 26).values()))
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)


def _statuses(drawn: Sequence[MatrixRow]) -> str:
    """Every status but ok in words."""
    told = [
        f"{arm} on {line.title}: {_words(ended.status)}"
        for line in drawn
        for arm, ended in line.ended.items()
        if ended.status != "ok"
    ]
    alright = any(ended.status == "ok" for line in drawn for ended in line.ended.values())
    return "; ".join(told) + (" (all others ok)" if alright else "") if told else "all ok"


def _found(table: Table) -> dict[tuple[str, str], CaseEnd]:
    """How each backend ended at each point; what was left out everywhere ended so at every point."""
    points = list(dict.fromkeys(row.tags["point"] for row in table.rows if row.tags["point"]))
    found = {}
    for row in table.rows:
        ended = CaseEnd(status=row.tags["status"], reason=table.cell(row, "reason").text)
        for point in [row.tags["point"]] if row.tags["point"] else points:
            found[point, row.tags["arm"]] = ended
    return found


def _alike(each: Mapping[str, Mapping[str, CaseEnd]], workloads: Mapping[str, str]) -> list[MatrixRow]:
    """A row for all points of a workload that ended alike, those first that did not all end ok.

    A shared row has a reason where all of its points have it.
    """
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for point, ended in each.items():
        statuses = tuple((arm, one.status) for arm, one in ended.items())
        groups.setdefault((workloads[point], statuses), []).append(point)
    lines = []
    for (workload, statuses), points in groups.items():
        shared = {arm: {each[point][arm].reason for point in points} for arm, _ in statuses}
        lines.append(
            MatrixRow(
                title=points[0] if len(points) == 1 else f"{workload}, {len(points)} configurations",
                points=len(points),
                ended={
                    arm: CaseEnd(status=status, reason=next(iter(shared[arm])) if len(shared[arm]) == 1 else "")
                    for arm, status in statuses
                },
            )
        )
    return sorted(lines, key=lambda line: {ended.status for ended in line.ended.values()} == {"ok"})


def _room(look: Look, head: float) -> int:
    """How many rows a page holds beside so many inches of all else."""
    return max(1, int((look.height_in / look.scale - head) / ROW_IN))


def _lines(reason: str, wide: int, most: int) -> list[str]:
    """A reason in so many lines at most: what it begins with says which program failed and how."""
    return textwrap.wrap(reason, wide, max_lines=most, placeholder=" …", subsequent_indent="  ")


def _why(numbers: Mapping[str, int], count: int) -> str:
    """The numbered reasons as a sentence."""
    if not numbers:
        return ""
    told = "; ".join(f"{number} {short(reason, _IN_CAPTION)}" for reason, number in numbers.items())
    more = f"; {count - len(numbers)} more are in the coverage table" if count > len(numbers) else ""
    return f" Reasons: {told}{more}."


def _words(status: str) -> str:
    return status.replace("_", " ")


def _loss(drawn: Sequence[MatrixRow], points: int) -> str:
    shown = sum(line.points for line in drawn)
    shared = " Configurations of a workload that ended alike share a row." if shown > len(drawn) else ""
    return shared + left_out(shown, points)


FIGURE = Coverage()
