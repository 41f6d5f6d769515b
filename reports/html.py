"""HTML: one page that needs nothing but itself, works offline and may be mailed."""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from steelyard.core.visible import visible
from steelyard.render.drawing import Picture, inline_svg
from steelyard.render.output import ReportInputs, printed, save
from steelyard.render.page_data import ABOUT, page_data
from steelyard.tables.cases import Cases
from steelyard.tables.format import counted, shown
from steelyard.tables.table import Cell, Column, Table

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = (
    *("page_data", "page_dom", "page_table", "page_baseline", "page_filter"),
    *("page_axis", "page_calls", "page_strips", "page_case", "page"),
)
"""Parts of the one script, in order: each uses what stands before it."""

PLAIN_ROWS = 1500
"""Up to so many rows in all the page holds every row as plain HTML, for readers without scripts."""
PLAIN_EACH = 100
"""Beyond that, so many rows of each table of results."""
EVIDENCE_ROWS = 1500
"""Rows of a table of evidence in a page; results are always there in full."""
PAGE_CHARACTERS = 2_500_000
"""Of data and figures. Figures have what the data leaves, the smallest first; the others stay files."""
LONG_TEXT = 24
"""Text columns up to so many characters are not broken over lines; longer ones are, and keep a readable measure."""
LONG_TITLE = 20
BROKEN_TEXT = 16
WIDEST_INTERVAL = 32
UPRIGHT, ACROSS = 125, 190
"""Characters of a table's line on a sheet that is held upright, and on one that lies across."""
BETWEEN, DRAWN = 2, 18
"""Characters between two columns, and of the drawing beside a speed-up, which is left out of what lies across."""
SMALLEST = 4
"""Tenths of the size of type below which none is set; what is wider still ends at the edge of the sheet."""
SHARED = 3
"""A note below so many tables stands once, below all of them."""
_IN_BRACKETS = re.compile(r"(\S+) (\(.+\))")
"""A value of which something is said, such as `1 (baseline)`."""
_FILTERS = {"workload": "Workload", "arm": "Backend", "device": "Device", "status": "Status"}


class Html:
    """`report.html`: styles, script, data and figures inline; its security policy forbids every request."""

    name = "html"
    draws = True
    details = True

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write `report.html`."""
        return (save(directory / "report.html", page(inputs)),)


def page(inputs: ReportInputs) -> str:
    """The page. Texts are escaped by the template engine, data as JSON; only the project's own files are not.
    Of the whole page hidden characters are replaced, such as those that turn the direction of writing."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    data = inputs.data
    sections = printed(data)
    tables = [table for _, found in sections for table in found]
    taken = {t.name: EVIDENCE_ROWS for t in tables if t.place == "detail" and len(t.rows) > EVIDENCE_ROWS}
    common = shared_notes(tables)
    plain = sum(len(table.rows) for table in tables) <= PLAIN_ROWS
    laid = [(title, [_table(table, common, taken, plain) for table in found]) for title, found in sections]
    script, style = script_text(), style_text()
    json = page_data(tables, inputs.cases, data.baseline, taken)
    inlined = within([picture for picture in inputs.pictures if not picture.reason], PAGE_CHARACTERS - len(json))
    text = environment.get_template("report.html.jinja").render(
        data=data,
        policy=policy(script, style),
        style=Markup(style),  # noqa: S704 (the project's own file)
        script=Markup(script),  # noqa: S704
        json=Markup(json),  # noqa: S704 (escaped where it is made)
        sections=laid,
        across=any(table["paper"] for _, found in laid for table in found if not table["closed"]),
        notes=common,
        cases=inputs.cases,
        pictures=[_picture(picture, picture.name in inlined, data.software) for picture in inputs.pictures],
        filters={tag: values for tag in _FILTERS if len(values := _values(tables, tag)) > 1},
        titles=_FILTERS,
        baselines=_baselines(inputs.cases, data.baseline, data.arms),
    )
    return visible(text, lines=True)


def script_text() -> str:
    """The script: its parts in one strict scope, which leaks no name."""
    parts = "\n".join(_read(f"{name}.js").removeprefix('"use strict";\n') for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def style_text() -> str:
    """The style, and how wide a column keeps its intervals, so that the values before them stand one below the other:
    brackets, comma and space are narrower than the digits that `ch` counts. On paper, tables in tenths of the size."""
    counts = range(2, WIDEST_INTERVAL + 1)
    widths = "".join(f".i{count} .interval {{ min-width: {count - 1}ch; }}\n" for count in counts)
    tenths = range(SMALLEST, 10)
    small = "".join(f".f{count} table {{ font-size: {0.85 * count:.2f}pt; }}\n" for count in tenths)
    return f"{_read('page.css')}{widths}@media print {{\n{small}}}\n"


def policy(script: str, style: str) -> str:
    """The content security policy: nothing is fetched, and only this script and this style count."""
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def shared_notes(tables: Sequence[Table]) -> tuple[str, ...]:
    """The notes that stand below several tables, in order."""
    counts = Counter(note for table in tables if table.rows for note in table.notes)
    return tuple(note for note, count in counts.items() if count >= SHARED)


def _table(table: Table, common: Sequence[str], taken: Mapping[str, int], plain: bool) -> dict[str, Any]:
    rows = table.rows if plain else table.rows[:PLAIN_EACH] if table.place == "main" else ()
    marks = {mark for row in rows for cell in row.cells for mark in cell.notes}
    notes = [note for note in table.notes if note not in common]
    if table.name in taken:
        notes.append(
            f"{taken[table.name]} of {counted(len(table.rows), 'row')} are in this page; csv/{table.name}.csv has all."
        )
    sizes = [_size(table, place, column) for place, column in enumerate(table.columns)]
    css = [_css(column, *size) for column, size in zip(table.columns, sizes, strict=True)]
    head = next((place for place, column in enumerate(table.columns) if column.key == "backend"), 0)
    return {
        "name": table.name,
        "title": table.title,
        "caption": table.caption,
        "empty": table.empty,
        "closed": table.place == "detail",
        "paper": paper(table.columns, sizes) if table.rows else "",
        "footnotes": [note for note in table.footnotes if note.mark in marks],
        "notes": notes,
        "total": len(table.rows),
        "columns": [
            {
                "title": column.heading,
                "key": column.key,
                "css": css[place],
                "head": place == head,
                "about": [(tag, value) for tag, value in column.tags.items() if tag in ABOUT],
            }
            for place, column in enumerate(table.columns)
        ],
        "rows": [[_cell(*parts) for parts in zip(row.cells, table.columns, css, strict=True)] for row in rows],
        "left": len(table.rows) - len(rows),
    }


def _size(table: Table, place: int, column: Column) -> tuple[int, int]:
    """The characters of the longest text or value of a column, and of its longest interval."""
    prints = [shown(row.cells[place], column) for row in table.rows]
    longest = max((len(print_.main) for print_ in prints), default=0)
    return longest, max((len(print_.interval) for print_ in prints), default=0)


def _css(column: Column, main: int, interval: int) -> str:
    """How a column is set: `iN` keeps room for its longest interval of N characters, `long` breaks texts over lines,
    `titled` gives a long heading room that its cells do not need."""
    words = ["number" if column.numeric else "text"]
    if column.numeric and interval:
        words.append(f"i{min(interval, WIDEST_INTERVAL)}")
    if not column.numeric and main > LONG_TEXT:
        words.append("long")
    elif len(column.heading) > LONG_TITLE:
        words.append("titled")
    return " ".join([*words, *(["code"] if column.kind == "code" else [])])


def paper(columns: Sequence[Column], sizes: Sequence[tuple[int, int]]) -> str:
    """How a table is set on paper, as classes: `wide`, across the sheet with intervals below their values, if it would
    not fit otherwise; and `fN`, in N tenths of the size, if not even so."""

    def width(beside: bool) -> int:
        total = 0
        for column, (main, interval) in zip(columns, sizes, strict=True):
            cell = main + interval + DRAWN * (column.key == "speedup") if beside else max(main, interval)
            heading = max(map(len, column.heading.split()))
            total += max(cell if column.numeric else min(main, BROKEN_TEXT), heading) + BETWEEN
        return total

    if width(beside=True) <= UPRIGHT:
        return ""
    across = width(beside=False)
    return " wide" if across <= ACROSS else f" wide f{max(SMALLEST, 10 * ACROSS // across)}"


def _cell(cell: Cell, column: Column, css: str) -> dict[str, Any]:
    print_ = shown(cell, column)
    spaced = " i" in css
    main, interval = print_.main, print_.interval
    if spaced and not interval and (said := _IN_BRACKETS.fullmatch(main)):
        main, interval = said.groups()  # so that the value stands below the others
    return {
        "main": main,
        "interval": interval,
        "css": " ".join([css, *cell.flags]),
        "spaced": spaced,
        "code": column.kind == "code" and bool(cell.text),
        "notes": cell.notes,
        "strong": "best" in cell.flags or "tied" in cell.flags,
    }


def within(pictures: Sequence[Picture], room: int) -> set[str]:
    """The names of the pictures that fit into so many characters together, if the smallest are taken first."""
    ordered = sorted(pictures, key=lambda picture: (len(picture.svg), picture.name))
    ends = accumulate(len(picture.svg) for picture in ordered)
    return {picture.name for picture, end in zip(ordered, ends, strict=True) if end <= room}


def _picture(picture: Picture, inlined: bool, software: str) -> dict[str, Any]:
    reason = picture.reason or ("" if inlined else f"left out to keep this page small; figures/{picture.name}.pdf")
    return {
        "name": picture.name,
        "title": picture.title,
        # what ran stands once, below all figures
        "caption": picture.caption.removesuffix(software).strip(),
        "alternative": picture.alternative,
        "reason": reason,
        # matplotlib escapes the texts that it draws
        "svg": Markup("" if reason else inline_svg(picture.svg, picture.name)),  # noqa: S704
    }


def _values(tables: Sequence[Table], tag: str) -> list[str]:
    assert tag in ABOUT
    tagged = [item.tags for table in tables for item in table.rows] + [
        item.tags for table in tables for item in table.columns
    ]
    return sorted({tags[tag] for tags in tagged if tags.get(tag)})


def _baselines(cases: Cases, baseline: str, arms: Sequence[str]) -> list[str]:
    """The arms that may be chosen as baseline, the run's own first."""
    known = {key[0] for key in cases.against}
    return [baseline, *(arm for arm in arms if arm in known and arm != baseline)] if known else []


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


REPORT = Html()
