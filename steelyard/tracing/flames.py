"""Recordings as one flame graph in SVG: a panel for each thread of each backend, a call from left to right.

Equal stacks of all calls are one box, as wide as its part of a call; siblings stand in the order of their time, so that
left and right say nothing of when. What is blank is where nothing was recorded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from steelyard.core.trace import Kernel, Recording
from steelyard.core.visible import visible
from steelyard.render.style import FONT, INK
from steelyard.tables.format import duration, percent
from steelyard.tracing.classes import CLASSES, class_of, name_of
from steelyard.tracing.edges import edges
from steelyard.tracing.shades import SHADES

_WIDTH, _ROW, _GAP, _MARGIN = 1000.0, 17.0, 14.0, 10.0
_SIZE = 10.0
_EM = 0.62
_NARROWEST = 0.5
"""Boxes less wide than this are left out, and counted: no one sees them."""


@dataclass(slots=True)
class Box:
    """A kernel in one stack of others: nanoseconds over all calls, how often it began, and what ran inside of it."""

    kernel: Kernel | None = None
    ns: float = 0.0
    times: int = 0
    inside: dict[str, "Box"] = field(default_factory=dict)

    def sorted(self) -> list["Box"]:
        """What ran inside, what took longest first."""
        return sorted(self.inside.values(), key=lambda box: (-box.ns, box.kernel.name if box.kernel else ""))


def stacks(recording: Recording) -> dict[int, Box]:
    """By thread what ran in calls, equal stacks together. Events that began in no call are left out."""
    found: dict[int, Box] = {}
    for thread, each in groupby(edges(_in_calls(recording)), key=lambda edge: edge.thread):
        root = found.setdefault(thread, Box())
        open_: list[tuple[Box, float]] = []
        for edge in each:
            if edge.opens:
                kernel, outer = recording.kernels[edge.kernel], open_[-1][0] if open_ else root
                box = outer.inside.setdefault(kernel.name, Box(kernel=kernel))
                box.times += 1
                open_.append((box, edge.at_ns))
            else:
                box, begun = open_.pop()
                box.ns += edge.at_ns - begun
    return found


def _in_calls(recording: Recording) -> Recording:
    start = np.asarray(recording.start_ns, np.float64)
    calls = np.asarray(recording.calls, np.float64).reshape(-1, 2)
    place = np.searchsorted(calls[:, 0], start, side="right") - 1
    kept = (place >= 0) & (start < calls[np.maximum(place, 0), 1]) if len(calls) else np.zeros(len(start), bool)
    columns = {name: np.asarray(getattr(recording, name))[kept] for name in ("kernel", "duration_ns", "thread")}
    return replace(recording, start_ns=start[kept], **columns)


def write(path: Path, tracks: Sequence[tuple[str, Recording]]) -> Path:
    """Write the recordings under their names; the same recordings give the same bytes."""
    shapes: list[str] = []
    top = 2 * _MARGIN + _ROW
    classes: set[str] = set()
    for name, recording in tracks:
        whole_ns = sum(end - begin for begin, end in recording.calls)
        for thread, root in sorted(stacks(recording).items()):
            call_s = whole_ns * 1e-9 / len(recording.calls)
            threads = f", thread {thread}" if len(set(np.asarray(recording.thread).tolist())) > 1 else ""
            shapes.append(_text(_MARGIN, top + _SIZE, f"{name}{threads}: one call, {duration(call_s)}"))
            top += _ROW
            drawn = _Panel(whole_ns, len(recording.calls), top)
            shapes += drawn.boxes(root)
            classes |= drawn.classes
            top += _ROW * max(drawn.rows, 1)
            if drawn.narrow:
                told = f"{drawn.narrow} too narrow to be drawn"
                shapes.append(_text(_MARGIN, top + _SIZE, told))
                top += _ROW
            top += _GAP
    width, height = _WIDTH + 2 * _MARGIN, top
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} '
        f'{height:g}" font-family={quoteattr(FONT + ", sans-serif")} font-size="{_SIZE:g}" fill="{INK}">'
    )
    title = "<title>Flame graphs: where the time of a call goes</title>"
    hatch = (
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse"><path d="M0 6L6 0" '
        f'stroke="{INK}" stroke-width="0.5"/></pattern></defs>'
    )
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    path.write_text("\n".join([head, title, hatch, ground, *_keys(classes), *shapes, "</svg>", ""]), encoding="utf-8")
    return path


class _Panel:
    """The boxes of one thread, from `top` downward; a call of `whole_ns` over `calls` calls is as wide as the panel."""

    def __init__(self, whole_ns: float, calls: int, top: float) -> None:
        self._whole_ns, self._calls, self._top = whole_ns, calls, top
        self.classes: set[str] = set()
        self.rows = self.narrow = 0

    def boxes(self, outer: Box, left: float = _MARGIN, depth: int = 0) -> Iterator[str]:
        """What ran inside of a box, and inside of that."""
        for box in outer.sorted():
            width = _WIDTH * box.ns / self._whole_ns if self._whole_ns else 0.0
            if width < _NARROWEST:
                self.narrow += 1
                continue
            yield from self._box(box, left, width, depth)
            yield from self.boxes(box, left, depth + 1)
            left += width

    def _box(self, box: Box, left: float, width: float, depth: int) -> Iterator[str]:
        assert box.kernel is not None, "only the root has none"
        operator_class, top = class_of(box.kernel), self._top + depth * _ROW
        self.classes.add(operator_class)
        self.rows = max(self.rows, depth + 1)
        seconds = box.ns * 1e-9 / self._calls
        told = (
            f"{box.kernel.name} ({box.kernel.kind}): {duration(seconds)} a call, {percent(box.ns / self._whole_ns)}, "
            f"{box.times / self._calls:.3g} times, {name_of(operator_class)}"
        )
        yield f"<g><title>{_escaped(told)}</title>{_rect(left, top, width, _ROW - 1, operator_class)}"
        room = int((width - 4) / (_SIZE * _EM))
        if room >= 3:
            name = visible(box.kernel.name)
            shown = name if len(name) <= room else f"{name[: room - 1]}…"
            yield _text(left + 2, top + _SIZE + 2, shown, fill=_ink_on(SHADES[operator_class][0]))
        yield "</g>"


def _keys(classes: set[str]) -> Iterator[str]:
    left = _MARGIN
    for name in (each for each in CLASSES if each in classes):
        yield _rect(left, _MARGIN, 10, 10, name)
        yield _text(left + 14, _MARGIN + 9, name_of(name))
        left += 26 + _SIZE * _EM * len(name_of(name))


def _rect(left: float, top: float, width: float, height: float, operator_class: str) -> str:
    """A box in the colour of its class, hatched where another class has the same colour."""
    colour, hatch = SHADES[operator_class]
    place = f'x="{left:.2f}" y="{top:.1f}" width="{width:.2f}" height="{height:g}"'
    plain = f'<rect {place} fill="{colour}" stroke="{INK}" stroke-width="0.4"/>'
    return f'{plain}<rect {place} fill="url(#hatch)"/>' if hatch else plain


def _text(left: float, baseline: float, text: str, fill: str = INK) -> str:
    return f'<text x="{left:.2f}" y="{baseline:.1f}" fill="{fill}">{_escaped(text)}</text>'


def _escaped(text: str) -> str:
    return escape(visible(text))


def _ink_on(colour: str) -> str:
    """Black or white, whichever is told apart better from a colour (relative luminance of WCAG 2.1)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    luminance = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#ffffff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else INK
