"""Draws figures and keeps them as bytes: PDF, SVG and PNG that are the same whenever the same data is drawn."""

import csv
import gc
import io
import re
import threading
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from steelyard.core.reason import reason_of
from steelyard.core.visible import visible
from steelyard.render.forked import few, forked
from steelyard.render.plotting import matplotlib
from steelyard.render.style import Look
from steelyard.store import scrub, uncollected
from steelyard.tables.table import ReportData

Value = str | float | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What a figure's `draw` returns: the matplotlib figure, its caption and the numbers that it shows.

    `figure` is None where there is nothing to draw, and `reason` says why. `alternative` describes the picture
    to a reader who cannot see it.
    """

    figure: Any
    caption: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Value, ...], ...] = ()
    alternative: str = ""
    reason: str = ""


class Figure(Protocol):
    """One file of `reports/figures/` exports such an object as `FIGURE`."""

    name: str
    title: str

    def draw(self, data: ReportData, look: Look) -> Drawing:
        """Draw it in the sizes of `look`, or say why there is nothing to draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure as files. `pdf`, `svg` and `png` are empty where `reason` says why nothing was drawn.

    `width_in` is how wide it is printed; `failed` says that drawing it was an error.
    """

    name: str
    title: str
    caption: str = ""
    alternative: str = ""
    pdf: bytes = b""
    svg: str = ""
    png: bytes = b""
    csv: str = ""
    reason: str = ""
    width_in: float = 0.0
    failed: bool = False


_LOCK = threading.Lock()  # matplotlib's settings are global to the process


def picture(figure: Figure, data: ReportData, look: Look | None = None, *, saved: bool = True) -> Picture:
    """Draw one figure and keep it as files. Every caption ends with what ran: driver, versions, run.

    With `saved=False` its numbers, caption and size are made, and its files are empty: laying out and saving is most
    of the work.
    """
    mpl = matplotlib()
    look = look or Look()
    with _LOCK, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(look.settings)
        with warnings.catch_warnings():
            # A name in a script that the font lacks is drawn as boxes; the tables have it in full.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            drawing = figure.draw(data, look)
            if drawing.figure is None:
                if not drawing.reason:
                    raise ValueError(f"figure {figure.name}: drew nothing and gave no reason")
                return Picture(name=figure.name, title=figure.title, reason=drawing.reason)
            say_log_scales(drawing.figure)
            pdf, svg, png = _files(drawing.figure) if saved else (b"", b"<svg></svg>", b"")
            width = float(drawing.figure.get_figwidth())
    return Picture(
        name=figure.name,
        title=figure.title,
        caption=f"{drawing.caption} {data.software}".strip(),
        alternative=drawing.alternative,
        pdf=pdf,
        svg=svg.decode(),
        png=png,
        csv=csv_text(drawing.columns, drawing.rows),
        width_in=width,
    )


def pictures(
    figures: Iterable[Figure],
    data: ReportData,
    look: Look | None = None,
    *,
    saved: bool = True,
    processes: int | None = None,
) -> tuple[Picture, ...]:
    """Draw every figure, in the order of their names, in forks of this process: one for each CPU, or `processes`.

    One that raises an error has it as its reason and takes no other with it. A figure is full of cycles, and a run of
    a thousand cases is a million objects that all stay: after each figure only what was made meanwhile is looked at for
    garbage.
    """

    def drawn(figure: Figure) -> Picture:
        try:
            return picture(figure, data, look, saved=saved)
        except Exception as error:  # noqa: BLE001 (a figure may be of another package)
            return _failed(figure, error)
        finally:
            gc.collect(0)

    ordered = sorted(figures, key=lambda figure: figure.name)
    try:
        matplotlib()  # imported once, before there are forks
        with uncollected():
            return forked(drawn, ordered, processes or few())
    except Exception as error:  # noqa: BLE001 (it cannot be imported, or a fork was killed: what needs no figure goes on)
        return tuple(_failed(figure, error) for figure in ordered)


def _failed(figure: Figure, error: Exception) -> Picture:
    return Picture(name=figure.name, title=figure.title, reason=scrub(reason_of(error)), failed=True)


def new_figure(width_in: float, height_in: float) -> Any:
    """An empty figure with constrained layout, drawn by Agg and bound to no window system."""
    matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as MplFigure

    figure = MplFigure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    engine: Any = figure.get_layout_engine()
    engine.set(w_pad=0.03, h_pad=0.02, wspace=0.03, hspace=0.04)
    return figure


LOG_SCALE = "log scale"


def say_log_scales(figure: Any) -> None:
    """End the label of every logarithmic axis of a figure with the words `log scale`, whoever drew it.

    A panel without a label of its own is served by the figure's, or by that of the last panel.
    """
    for side in ("x", "y"):
        for panel in figure.axes:
            if getattr(panel, f"get_{side}scale")() != "log":
                continue
            label = getattr(panel, f"{side}axis").label
            if not label.get_text():
                label = getattr(figure, f"_sup{side}label") or getattr(figure.axes[-1], f"{side}axis").label
            if not label.get_text().endswith(LOG_SCALE):
                label.set_text(", ".join(filter(None, (label.get_text(), LOG_SCALE))))


_INHERITED = 'stroke-linejoin="round" stroke-linecap="butt" aria-hidden="true"'
"""What matplotlib's only style sheet says of everything in the picture; and that its alternative stands elsewhere."""


def inline_svg(svg: str, prefix: str) -> str:
    """An SVG to be set inside an HTML page: no prologue, no metadata, ids that are unique to this figure, no styles.

    What stood in style sheets and style attributes stands in attributes of its own, so that a page may forbid styles
    other than its own. Raises ValueError for a style sheet that is not the one of matplotlib.
    """
    body = svg[svg.index("<svg") :].rstrip()
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.S)
    for sheet in re.findall(r"<style[^>]*>(.*?)</style>", body, flags=re.S):
        if sheet.strip() != "*{stroke-linejoin: round; stroke-linecap: butt}":
            raise ValueError(f"figure {prefix}: the style sheet of its SVG is not known: {sheet.strip()[:80]}")
    body = re.sub(r"\s*<style[^>]*>.*?</style>", "", body, flags=re.S).replace("<svg", f"<svg {_INHERITED}", 1)
    body = re.sub(r' style="([^"]*)"', lambda match: _attributes(match[1]), body)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', body)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", body)


def _attributes(style: str) -> str:
    """`fill: #fff; stroke: none` as ` fill="#fff" stroke="none"`."""
    pairs = (part.partition(":") for part in style.split(";") if part.strip())
    return "".join(f' {name.strip()}="{value.strip()}"' for name, _, value in pairs)


_FORMULA = frozenset("=+-@\t\r")


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Value]]) -> str:
    """Rows as CSV; an absent value is an empty field. A text that a spreadsheet would run as a formula is quoted."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(value) if isinstance(value, str) else value for value in row] for row in rows)
    return stream.getvalue()


def _plain(text: str) -> str:
    return ("'" if text[:1] in _FORMULA else "") + visible(text, lines=True)


def _lay_out(figure: Any) -> None:
    """Lay out once and hold it: three formats cost one layout, and agree. The layout engine's solver is not exact to
    the last bit, and the names of clip paths are hashes of positions, so that positions are rounded. Without an
    engine, a file is one pass over the figure; a place holder of one ("none") would cost another before each."""
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine(None)
    for axis in figure.axes:
        axis.set_position([round(value, 6) for value in axis.get_position().bounds])


def _files(figure: Any) -> tuple[bytes, bytes, bytes]:
    """PDF, SVG and PNG, without the names and dates that would tell two of them apart."""
    _lay_out(figure)
    pdf = _saved(figure, "pdf", {"Creator": None, "Producer": None, "CreationDate": None})
    svg = _saved(figure, "svg", {"Date": None, "Creator": None, "Format": None, "Type": None})
    return pdf, visible(svg.decode(), lines=True).encode(), _saved(figure, "png", {"Software": None})


def _saved(figure: Any, kind: str, metadata: dict[str, None]) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, metadata=metadata)
    return stream.getvalue()
