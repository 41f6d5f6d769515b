r"""LaTeX: tables, captions, macros and paragraphs to `\input`, one `all.tex` that inputs them into a paper, and a whole
`report.tex` that pdflatex compiles.

The tables need `booktabs` and nothing else.
"""

from pathlib import Path

import jinja2

from steelyard.tables.latex import escape
from steelyard.tables.layout import Group, Layout
from steelyard.tables.output import ReportInputs, printed, save
from steelyard.tables.references import bibtex
from steelyard.tables.table import Macro, Row, Table

TEMPLATES = Path(__file__).parent / "templates"

PAGE_LINES = 60
"""Lines of `\\footnotesize` on a page; a table that needs more is split."""


class Latex:
    """`latex/`: `report.tex`, `all.tex`, `macros.tex`, `references.bib` where there is something to cite, and under
    `tables/`, `tabulars/`, `captions/`, `paragraphs/`, `figures/` one file each."""

    name = "latex"
    draws = True

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write all files; `figures/` holds copies, so that the folder can be moved into a paper as it is."""
        folder, data = directory / self.name, inputs.data
        files = [save(folder / "macros.tex", macros(data.macros))]
        sections = printed(data)
        for table in (table for _, tables in sections for table in tables):
            layout = Layout(table) if table.rows else None
            files.append(save(folder / "tables" / f"{table.name}.tex", floats(table, layout)))
            files.append(save(folder / "captions" / f"{table.name}.tex", _lines(caption(table))))
            if layout is not None:
                files.append(save(folder / "tabulars" / f"{table.name}.tex", _lines(tabular(layout, table.rows))))
        for paragraph in data.paragraphs:
            text = escape(" ".join(paragraph.sentences))
            files.append(save(folder / "paragraphs" / f"{paragraph.name}.tex", _lines(text)))
        if data.references:
            files.append(save(folder / "references.bib", bibtex(data.references)))
        for picture in inputs.pictures:
            if not picture.reason:
                files.append(save(folder / "figures" / f"{picture.name}.pdf", picture.pdf))
                files.append(save(folder / "captions" / f"figure-{picture.name}.tex", _lines(escape(picture.caption))))
        files += [save(folder / name, self._document(name, inputs, sections)) for name in ("all.tex", "report.tex")]
        return tuple(files)

    def _document(self, name: str, inputs: ReportInputs, sections: tuple[tuple[str, tuple[Table, ...]], ...]) -> str:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=False,  # noqa: S701 (LaTeX; every text passes the filter below)
            undefined=jinja2.StrictUndefined,
            block_start_string="<%",
            block_end_string="%>",
            variable_start_string="<<",
            variable_end_string=">>",
            comment_start_string="<#",
            comment_end_string="#>",
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            finalize=lambda value: value,
        )
        environment.filters["tex"] = escape
        template = environment.get_template(f"{name}.jinja")
        return template.render(
            data=inputs.data,
            pictures=[picture for picture in inputs.pictures if not picture.reason],
            missing=[picture for picture in inputs.pictures if picture.reason],
            sections=sections,
        )


def macros(entries: tuple[Macro, ...]) -> str:
    """One `\\newcommand` a headline number, with its meaning as a comment."""
    lines = ["% Headline numbers, as printed in the tables. \\input this file in the preamble."]
    for entry in entries:
        meaning = escape(entry.meaning)
        lines.append(f"\\newcommand{{\\{entry.name}}}{{{escape(entry.text)}}}% {meaning}")
    return _lines("\n".join(lines))


def caption(table: Table) -> str:
    """The caption: title and what the numbers are."""
    return f"{escape(table.title)}. {escape(table.caption)}".strip()


def floats(table: Table, layout: Layout | None = None) -> str:
    """The table as one float, or as several where it is longer than a page.

    `table*` takes the whole line of a two-column paper; in one column LaTeX makes it a `table`.
    """
    if not table.rows:
        return _lines(f"\\paragraph{{{escape(table.title)}}} {escape(table.empty)}.")
    layout = layout or Layout(table)
    parts = _parts(table, layout)
    blocks = []
    for number, rows in enumerate(parts, start=1):
        of = f" (part {number} of {len(parts)})" if len(parts) > 1 else ""
        label = f"tab:sy-{table.name}" + (f"-{number}" if number > 1 else "")
        blocks.append(
            "\n".join(
                [
                    "\\begin{table*}",
                    "\\centering\\footnotesize",
                    f"\\caption{{{caption(table)}{of}}}",
                    f"\\label{{{label}}}",
                    tabular(layout, rows),
                    *_remarks(table, rows, last=number == len(parts)),
                    "\\end{table*}",
                ]
            )
        )
    return _lines("\n\n".join(blocks))


def tabular(layout: Layout, rows: tuple[Row, ...]) -> str:
    """Only the `tabular`, or several below each other where the columns do not fit on one line."""
    return "\n\\par\\smallskip\n".join(_tabular(group, rows) for group in layout.groups)


def _tabular(group: Group, rows: tuple[Row, ...]) -> str:
    # \tabularnewline and not \\: the latter means something else after \raggedright
    lines = [
        f"\\begin{{tabular}}{{@{{}}{group.preamble}@{{}}}}",
        "\\toprule",
        f"{group.headings} \\tabularnewline",
        "\\midrule",
    ]
    point = None
    for row in rows:
        if point is not None and row.tags.get("point") != point:
            lines.append("\\addlinespace")
        point = row.tags.get("point")
        lines.append(f"{group.row(row)} \\tabularnewline")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"])


def _remarks(table: Table, rows: tuple[Row, ...], *, last: bool) -> list[str]:
    used = {mark for row in rows for cell in row.cells for mark in cell.notes}
    remarks = [f"\\textsuperscript{{{n.mark}}}\\,{escape(n.text)}" for n in table.footnotes if n.mark in used]
    remarks += [escape(note) for note in table.notes] if last else []
    if not remarks:
        return []
    body = "\\par\n".join(remarks)
    return [
        "\\par\\vspace{3pt}",
        f"\\begin{{minipage}}{{\\linewidth}}\\scriptsize\\raggedright\n{body}\n\\end{{minipage}}",
    ]


def _parts(table: Table, layout: Layout) -> tuple[tuple[Row, ...], ...]:
    # The caption is set in \normalsize, the remarks in \scriptsize; both are repeated with each part.
    around = 1.3 * (len(caption(table)) / 95 + 1) + 4 * len(layout.groups)
    around += 0.85 * sum(len(text) / 125 + 1 for text in [*table.notes, *(note.text for note in table.footnotes)])
    most = max(10.0, PAGE_LINES - around)
    parts: list[tuple[Row, ...]] = []
    current: list[Row] = []
    height = 0
    for row in table.rows:
        lines = layout.lines(row)
        if current and height + lines > most:
            parts.append(tuple(current))
            current, height = [], 0
        current.append(row)
        height += lines
    return (*parts, tuple(current))


def _lines(text: str) -> str:
    return text.rstrip() + "\n"


REPORT = Latex()
