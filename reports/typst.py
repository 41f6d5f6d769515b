"""Typst: a whole `report.typ`, and each table as a file of its own to `#include`.

No package is imported, so that it compiles offline.
"""

from pathlib import Path

from steelyard.render.drawing import Picture
from steelyard.render.layout import ColumnGroup, Layout, Measure
from steelyard.render.output import ReportInputs, printed, save
from steelyard.render.typst import breakable, breakable_literal, escape, literal
from steelyard.tables.format import shown
from steelyard.tables.table import Cell, Row, Table

PAGE = """\
#set page(paper: "a4", margin: 2.2cm, numbering: "1")
#set text(size: 10pt, lang: "en")
#show heading: set block(above: 1.4em, below: 0.8em)
#show figure: set block(above: 1.6em, below: 1.6em)
"""

TABLE = """\
#set figure.caption(position: top)
#show figure: set block(breakable: true)
#show figure.caption: it => block(width: 100%, sticky: true, align(left, it))
#set text(size: 8pt, top-edge: 5.5pt) // one height for all, so that words and code stand on one line
#set par(justify: false)
"""
"""What the file of each table sets, for itself only: typst ends the effect with the file."""


class Typst:
    """`typst/`: `report.typ`, and under `tables/` and `figures/` one file each."""

    name = "typst"
    draws = True

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write all files; `figures/` holds copies, so that the folder can be moved into a paper as it is."""
        folder = directory / self.name
        files = [save(folder / "report.typ", _document(inputs))]
        for _, tables in printed(inputs.data):
            files += [save(folder / "tables" / f"{table.name}.typ", typeset(table)) for table in tables]
        for picture in inputs.pictures:
            if not picture.reason:
                files.append(save(folder / "figures" / f"{picture.name}.svg", picture.svg))
        return tuple(files)


def typeset(table: Table) -> str:
    """The file of one table: a figure with caption, rows, footnotes and notes, that may go on over pages."""
    if not table.rows:
        return f"#strong[{escape(table.title)}.] {escape(table.empty.removeprefix(f'{table.title}: '))}.\n"
    caption = escape(f"{table.title}. {table.caption}".strip())
    body = [*(_grid(group, table.rows) for group in Layout(table).groups), *_remarks(table)]
    joined = "\n".join(body)
    return f"{TABLE}#figure(\n  kind: table,\n  caption: [{caption}],\n  {{\n{joined}\n  }},\n) <tab-sy-{table.name}>\n"


def _grid(group: ColumnGroup, rows: tuple[Row, ...]) -> str:
    """One `table`; where the columns do not fit on one line there are several, one below the other."""
    widths = "".join(f"{_width(group, measure)}, " for measure in group.measures)
    sides = "".join("right, " if measure.column.numeric else "left, " for measure in group.measures)
    headings = ", ".join(f"[{_heading(measure)}]" for measure in group.measures)
    lines = [
        "    table(",
        f"      columns: ({widths.rstrip()}),",
        f"      align: (x, y) => ({sides.rstrip()}).at(x) + if y == 0 {{ bottom }} else {{ top }},",
        "      stroke: none, inset: (x: 2.5pt, y: 2.5pt),",
        "      table.hline(stroke: 0.8pt),",
        f"      table.header({headings}),",
        "      table.hline(stroke: 0.5pt),",
    ]
    point = None
    for row in rows:
        if point is not None and row.tags.get("point") != point:
            lines.append("      table.hline(stroke: 0.3pt + luma(160)),")
        point = row.tags.get("point")
        cells = ", ".join(_cell(row.cells[measure.position], measure, group) for measure in group.measures)
        lines.append(f"      {cells},")
    return "\n".join([*lines, "      table.hline(stroke: 0.8pt),", "    )"])


def _width(group: ColumnGroup, measure: Measure) -> str:
    share = group.shares.get(measure.position)
    return "auto" if share is None else f"{100 * share:.1f}%"


def _heading(measure: Measure) -> str:
    return " \\ ".join(escape(line) for line in measure.heading)


def _cell(cell: Cell, measure: Measure, group: ColumnGroup) -> str:
    print_ = shown(cell, measure.column)
    if measure.column.kind == "code" and cell.text:
        main = f"#raw({(breakable_literal if measure.wide else literal)(print_.main)})"
    else:
        main = (breakable if measure.wide else escape)(print_.main)
    if "best" in cell.flags or "tied" in cell.flags:
        main = f"#strong[{main}]"
    marks = f"#super[{escape(','.join(cell.notes))}]" if cell.notes else ""
    if not print_.interval:
        return f"[{main}{marks}]"
    interval = f"#box(text(0.85em)[{escape(print_.interval)}])"
    return f"[{main}{marks} \\ {interval}]" if group.stacked else f"[{main} {interval}{marks}]"


def _remarks(table: Table) -> list[str]:
    remarks = [f"#super[{escape(note.mark)}]#h(0.2em){breakable(note.text)}" for note in table.footnotes]
    remarks += [breakable(note) for note in (*table.notes, table.conditions) if note]
    if not remarks:
        return []
    lines = " \\\n      ".join(remarks)
    return [f"    block(width: 100%, above: 0.6em, align(left, text(0.9em)[\n      {lines}\n    ]))"]


def _document(inputs: ReportInputs) -> str:
    data = inputs.data
    created = f"{data.created_utc[:16].replace('T', ' ')} UTC"
    parts = [
        f"#set document(title: {literal(data.title)})\n{PAGE}",
        f"#align(center)[#text(1.5em)[{escape(data.title)}] \\ {escape(created)}]\n",
        "= Summary\n",
        *(f"- {escape(sentence)}" for sentence in data.headline),
        "",
    ]
    for paragraph in data.paragraphs:
        parts += [f"= {escape(paragraph.title)}\n", breakable(" ".join(paragraph.sentences)) + "\n"]
    if inputs.pictures:
        parts += ["= Figures\n", *map(_figure, inputs.pictures)]
    for title, tables in printed(data):
        parts += [f"= {escape(title)}\n", *(f'#include "tables/{table.name}.typ"\n' for table in tables)]
    return "\n".join(parts).rstrip() + "\n"


def _figure(picture: Picture) -> str:
    if picture.reason:
        return f"{escape(picture.title)}: {escape(picture.reason)}.\n"
    width = f"calc.min(room.width, {picture.width_in:.3f}in)"  # those for slides are wider than the page
    image = f'image("figures/{picture.name}.svg", width: {width}, alt: {literal(picture.alternative)})'
    return f"#figure(\n  layout(room => {image}),\n  caption: [{escape(picture.caption)}],\n) <fig-sy-{picture.name}>\n"


REPORT = Typst()
