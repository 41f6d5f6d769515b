r"""LaTeX: tables, captions, macros and paragraphs to `\input`, one `all.tex` that inputs them into a paper, and a whole
`report.tex` that pdflatex compiles.

The tables need `booktabs` and nothing else.
"""

from collections.abc import Sequence
from pathlib import Path

import jinja2

from steelyard.render.layout import ColumnGroup, Layout
from steelyard.render.output import ReportInputs, printed, save
from steelyard.tables.latex import escape, flowing
from steelyard.tables.references import bibtex
from steelyard.tables.table import Macro, Paragraph, Row, Table

TEMPLATES = Path(__file__).parent / "templates"

CITE = "\\providecommand{\\SyCite}[1]{~\\cite{#1}}%\n"
"""How paragraphs cite, unless the paper says otherwise beforehand: with natbib `\\citep`, or not at all."""

MIN_LINES = 10.0
"""Lines that a part of a table may have, however much stands around it."""

MOST_FLOATS = 12
"""Parts of a table after which a page is begun: LaTeX holds only so many floats back."""


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
            layout = Layout(table, inputs.room) if table.rows else None
            files.append(save(folder / "tables" / f"{table.name}.tex", floats(table, layout)))
            files.append(save(folder / "captions" / f"{table.name}.tex", _lines(caption(table, alone=True))))
            if layout is not None:
                files.append(save(folder / "tabulars" / f"{table.name}.tex", _lines(tabular(layout, table.rows))))
        files += [save(folder / "paragraphs" / f"{each.name}.tex", prose(each)) for each in data.paragraphs]
        if data.references:
            files.append(save(folder / "references.bib", bibtex(data.references)))
        for picture in inputs.pictures:
            if not picture.reason:
                files.append(save(folder / "figures" / f"{picture.name}.pdf", picture.pdf))
                files.append(save(folder / "captions" / f"figure-{picture.name}.tex", _lines(flowing(picture.caption))))
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
        environment.filters |= {"tex": escape, "prose": flowing}
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


def prose(paragraph: Paragraph) -> str:
    """A paragraph with its citations, through a macro that a paper may define otherwise."""
    sentences = []
    for number, sentence in enumerate(paragraph.sentences):
        keys = paragraph.cited.get(number, ())
        text = flowing(sentence)
        sentences.append(f"{text.removesuffix('.')}\\SyCite{{{','.join(keys)}}}." if keys else text)
    return _lines((CITE if paragraph.cited else "") + " ".join(sentences))


def caption(table: Table, *, alone: bool = False) -> str:
    """The caption: title and what the numbers are; `alone`, what they share with others, too."""
    return flowing(" ".join(filter(None, (f"{table.title}.", table.caption, table.conditions if alone else ""))))


def floats(table: Table, layout: Layout | None = None) -> str:
    """The table as one float, or as several where it is longer than a page.

    `table*` takes the whole line of a two-column paper; in one column LaTeX makes it a `table`.
    """
    if not table.rows:
        return _lines(f"\\paragraph{{{escape(table.title)}}} {flowing(table.empty.removeprefix(f'{table.title}: '))}.")
    layout = layout or Layout(table)
    parts = _parts(table, layout)
    continued = escape(f"{table.title}, continued")
    blocks = []
    for number, rows in enumerate(parts, start=1):
        of = f" (part {number} of {len(parts)})" if len(parts) > 1 else ""
        label = f"tab:sy-{table.name}" + (f"-{number}" if number > 1 else "")
        blocks.append(
            "\n".join(
                [
                    "\\begin{table*}",
                    "\\centering\\footnotesize",
                    f"\\caption[{{{escape(table.title)}{of}}}]{{{caption(table) if number == 1 else continued}{of}}}",
                    f"\\label{{{label}}}",
                    "\\smallskip",  # LaTeX's classes leave nothing below a caption
                    tabular(layout, rows),
                    *_remarks(table, rows, last=number == len(parts)),
                    "\\end{table*}",
                ]
            )
        )
        if number % MOST_FLOATS == 0:
            blocks.append("\\clearpage")
    return _lines("\n\n".join(blocks))


def tabular(layout: Layout, rows: tuple[Row, ...]) -> str:
    """Only the `tabular`, or several below each other where the columns do not fit on one line."""
    return "\n\\par\\smallskip\n".join(_tabular(group, rows) for group in layout.groups)


def _tabular(group: ColumnGroup, rows: tuple[Row, ...]) -> str:
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


def _notes(table: Table) -> tuple[str, ...]:
    """What stands below a table: its own notes, and the one line on what it shares with others."""
    return (*table.notes, table.conditions) if table.conditions else table.notes


def _remarks(table: Table, rows: tuple[Row, ...], *, last: bool) -> list[str]:
    used = {mark for row in rows for cell in row.cells for mark in cell.notes}
    remarks = [f"\\textsuperscript{{{n.mark}}}\\,{flowing(n.text)}" for n in table.footnotes if n.mark in used]
    remarks += [flowing(note) for note in _notes(table)] if last else []
    if not remarks:
        return []
    body = "\\par\n".join(remarks)
    return [
        "\\par\\vspace{3pt}",
        f"\\begin{{minipage}}{{\\linewidth}}\\scriptsize\\raggedright\n{body}\n\\end{{minipage}}",
    ]


def _parts(table: Table, layout: Layout) -> tuple[tuple[Row, ...], ...]:
    """The rows of each float, so that it fits on a page with caption and remarks; the notes stand below the last."""
    line, most = layout.room.characters, layout.room.lines
    most -= 1.3 * (len(caption(table)) / (0.9 * line) + 1) + 4 * len(layout.groups)  # it is set in \normalsize
    remarks = {note.mark: _remark_lines(note.text, line) for note in table.footnotes}
    notes = sum(_remark_lines(note, line) for note in _notes(table))

    def height(rows: Sequence[Row]) -> float:
        used = {mark for row in rows for cell in row.cells for mark in cell.notes}
        return sum(map(layout.lines, rows)) + sum(remarks[mark] for mark in used)

    parts: list[list[Row]] = [[]]
    for row in table.rows:
        if parts[-1] and height([*parts[-1], row]) > max(most, MIN_LINES):
            parts.append(_broken_off(parts[-1], row))
        parts[-1].append(row)
    last = parts[-1]
    if len(last) > 1 and height(last) > max(most - notes, MIN_LINES):
        parts[-1:] = [last[: len(last) // 2], last[len(last) // 2 :]]
    return tuple(map(tuple, parts))


def _broken_off(part: list[Row], row: Row) -> list[Row]:
    """Takes from a full part the rows of the point that `row` goes on with, unless they are more than half of it."""
    point = row.tags.get("point")
    whole = len(part)
    while whole and part[whole - 1].tags.get("point") == point:
        whole -= 1
    if whole < len(part) / 2:
        return []
    begun = part[whole:]
    del part[whole:]
    return begun


def _remark_lines(text: str, line: float) -> float:
    """Lines of the table that a remark in \\scriptsize takes, roughly."""
    return 0.85 * (len(text) / (1.2 * line) + 1)


def _lines(text: str) -> str:
    return text.rstrip() + "\n"


REPORT = Latex()
