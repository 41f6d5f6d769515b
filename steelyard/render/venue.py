"""Where figures and tables are to be printed: widths, type size and typeface of a venue, each width with its source.

Figures know no venues: they are drawn with a `Look`. Typefaces are those that come with matplotlib: STIX stands for
Times and for ACM's Libertine, as neither comes with it. Type sizes and heights are choices of this project: two
points below the text, no smaller than 7.5, and an inch of the page left for the caption.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from steelyard.core.errors import unknown_name
from steelyard.render.layout import Room
from steelyard.render.style import FONT, Look

_SERIF = "STIXGeneral"
_TEX_POINT_IN = 1 / 72.27
TABLE_PT = 8.0
"""Size of `\\footnotesize` in a text of 10 points: what a page has `Room` for is counted in it."""
TEXT_IN = 9.0
"""Height of the text on letter paper with margins of an inch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """A venue's look, and where its widths come from. `table_pt` is the size of its `\\footnotesize`, where larger than
    that of a text of 10 points; `text_in` the height of its text, where lower than 9 inches."""

    look: Look
    source: str
    table_pt: float = TABLE_PT
    text_in: float = TEXT_IN


VENUES: Mapping[str, Venue] = {
    "icml": Venue(
        look=Look(column_in=3.25, full_in=6.75, size_pt=8, font=_SERIF),
        source="icml2024 in the tables of tueplots 0.2.5: columns of 3.25 in, text of 6.75 in",
    ),
    "neurips": Venue(
        look=Look(column_in=5.5, full_in=5.5, size_pt=8, font=_SERIF),
        source="neurips2024 in the tables of tueplots 0.2.5: one column of 5.5 in",
    ),
    "mlsys": Venue(
        look=Look(column_in=3.25, full_in=6.75, size_pt=8, font=_SERIF),
        source=r"mlsys2025.sty: \textwidth 6.75in, \columnsep 0.25in, so columns of 3.25 in",
    ),
    "acm": Venue(
        look=Look(column_in=3.33, full_in=7.0, size_pt=7.5, font=_SERIF),
        source="acmart, format sigconf: text of 7 in on letter paper, columns of 3.33 in",
    ),
    "ieee": Venue(
        look=Look(column_in=3.5, full_in=7.16, size_pt=8, font=_SERIF),
        source="IEEE Author Center, size requirements for graphics: 3.5 in for one column, 7.16 in for two",
    ),
    "usenix": Venue(
        look=Look(column_in=3.335, full_in=7.0, size_pt=8, font=_SERIF),
        source=r"usenix2019_v3.sty: \textwidth 7.00in, \columnsep 0.33in, so columns of 3.335 in",
    ),
    "thesis": Venue(
        look=Look(column_in=390 * _TEX_POINT_IN, full_in=390 * _TEX_POINT_IN, size_pt=9, font=_SERIF),
        source="LaTeX's report and book at 12 pt (size12.clo): text of 390 by 592 pt; a university's own may differ",
        table_pt=10,
        text_in=592 * _TEX_POINT_IN,
    ),
    "slides": Venue(
        look=Look(column_in=14 / 2.54, full_in=14 / 2.54, height_in=2.75, size_pt=8, font=FONT),
        source="beamer with aspectratio=169: paper of 16 cm by 9 cm, margins of 1 cm (beamer.cls, its outer theme)",
        table_pt=9,
        text_in=2.75,
    ),
}
"""Widths by the name that `bench report --venue` takes."""


def look_of(name: str) -> Look:
    """The look of a venue; the default for the empty name. Raises UsageError naming the venues."""
    if not name:
        return Look()
    if name not in VENUES:
        raise unknown_name("venue", name, VENUES)
    return VENUES[name].look


def room_of(name: str) -> Room:
    """What a page holds of tables at a venue; the default for the empty name. Raises UsageError naming the venues."""
    if not name:
        return Room()
    look, size = look_of(name), TABLE_PT / VENUES[name].table_pt
    return Room(
        characters=Room().characters * size * look.full_in / Look().full_in,
        lines=Room().lines * size * VENUES[name].text_in / TEXT_IN,
    )
