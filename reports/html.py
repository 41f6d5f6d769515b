"""HTML: one page that needs nothing but itself, works offline and may be mailed."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from steelyard.tables.drawing import inline_svg
from steelyard.tables.format import scaled, shown
from steelyard.tables.output import ReportInputs, printed, save
from steelyard.tables.table import Cell, Column, Row, Table

TEMPLATES = Path(__file__).parent / "templates"


class Html:
    """`report.html`: styles, script and figures inline; its security policy forbids every request."""

    name = "html"
    draws = True

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write `report.html`."""
        return (save(directory / "report.html", page(inputs)),)


def page(inputs: ReportInputs) -> str:
    """The page. Texts are escaped by the template engine; only the project's own style, script and SVG are not."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    sections = printed(inputs.data)
    everything = [table for _, tables in sections for table in tables]
    return environment.get_template("report.html.jinja").render(
        data=inputs.data,
        # Styles of SVG elements stand in attributes, so that inline style must be allowed; scripts are bound by hash.
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "img-src data:; base-uri 'none'; form-action 'none'",
        style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),  # noqa: S704 (the project's own file)
        script=Markup(script),  # noqa: S704
        sections=[(title, [_table(table) for table in tables]) for title, tables in sections],
        pictures=[
            {
                "name": picture.name,
                "title": picture.title,
                "caption": picture.caption,
                "alternative": picture.alternative,
                "reason": picture.reason,
                # matplotlib escapes the texts that it draws
                "svg": Markup("" if picture.reason else inline_svg(picture.svg, picture.name)),  # noqa: S704
            }
            for picture in inputs.pictures
        ],
        filters={
            tag: sorted({row.tags[tag] for table in everything for row in table.rows if row.tags.get(tag)})
            for tag in ("workload", "arm", "status")
        },
        filter_titles={"workload": "Workload", "arm": "Backend", "status": "Status"},
    )


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "title": table.title,
        "caption": table.caption,
        "empty": table.empty,
        "footnotes": table.footnotes,
        "notes": table.notes,
        "columns": [
            {"title": column.heading, "css": "number" if column.numeric else "text"} for column in table.columns
        ],
        "rows": [_row(table, row) for row in table.rows],
    }


def _row(table: Table, row: Row) -> dict[str, Any]:
    cells = [_cell(cell, column) for cell, column in zip(row.cells, table.columns, strict=True)]
    return {"tags": {name: row.tags.get(name, "") for name in ("workload", "arm", "status")}, "cells": cells}


def _cell(cell: Cell, column: Column) -> dict[str, Any]:
    print_ = shown(cell, column)
    key = repr(scaled(cell.value, column)) if column.numeric and cell.value is not None else ""
    css = " ".join(["number" if column.numeric else "text", *cell.flags])
    return {
        "main": print_.main,
        "interval": print_.interval,
        "key": key,
        "css": css,
        "code": column.kind == "code" and bool(cell.text),
        "notes": cell.notes,
        "strong": "best" in cell.flags or "tied" in cell.flags,
    }


REPORT = Html()
