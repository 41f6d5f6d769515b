r"""LaTeX: tables, captions, macros and paragraphs to `\input`, and a whole `report.tex` that pdflatex compiles.

The tables need `booktabs` and nothing else.
"""

import math
import textwrap
from pathlib import Path

import jinja2

from steelyard.tables.format import shown
from steelyard.tables.latex import LONGEST_UNBROKEN, breakable, escape
from steelyard.tables.output import ReportInputs, printed, save
from steelyard.tables.table import Cell, Column, Macro, Row, Table

TEMPLATES = Path(__file__).parent / "templates"

LINE_CHARACTERS = 104
"""Characters in `\\footnotesize` that a 6.5 inch line holds, roughly; it shares out the width of wide columns."""

PART_LINES = 42
"""Lines that a table may have before it is split, so that each part fits on a page with its caption and notes."""


class Latex:
    """`latex/`: `report.tex`, `macros.tex`, and under `tables/`, `tabulars/`, `captions/`, `paragraphs/`, `figures/`
    one file each."""

    name = "latex"
    draws = True

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write all files; `figures/` holds copies, so that the folder can be moved into a paper as it is."""
        folder, data = directory / self.name, inputs.data
        files = [save(folder / "macros.tex", macros(data.macros))]
        sections = printed(data)
        for table in (table for _, tables in sections for table in tables):
            files.append(save(folder / "tables" / f"{table.name}.tex", floats(table)))
            files.append(save(folder / "captions" / f"{table.name}.tex", _lines(caption(table))))
            if table.rows:
                files.append(save(folder / "tabulars" / f"{table.name}.tex", _lines(tabular(table, table.rows))))
        for paragraph in data.paragraphs:
            text = escape(" ".join(paragraph.sentences))
            files.append(save(folder / "paragraphs" / f"{paragraph.name}.tex", _lines(text)))
        for picture in inputs.pictures:
            if not picture.reason:
                files.append(save(folder / "figures" / f"{picture.name}.pdf", picture.pdf))
                files.append(save(folder / "captions" / f"figure-{picture.name}.tex", _lines(escape(picture.caption))))
        files.append(save(folder / "report.tex", self._document(inputs, sections)))
        return tuple(files)

    def _document(self, inputs: ReportInputs, sections: tuple[tuple[str, tuple[Table, ...]], ...]) -> str:
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
        template = environment.get_template("report.tex.jinja")
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


def floats(table: Table) -> str:
    """The table as one float, or as several where it is longer than a page."""
    if not table.rows:
        return _lines(f"\\paragraph{{{escape(table.title)}}} {escape(table.empty)}.")
    parts = _parts(table)
    blocks = []
    for number, rows in enumerate(parts, start=1):
        of = f" (part {number} of {len(parts)})" if len(parts) > 1 else ""
        label = f"tab:sy-{table.name}" + (f"-{number}" if number > 1 else "")
        blocks.append(
            "\n".join(
                [
                    "\\begin{table}",
                    "\\centering\\footnotesize",
                    f"\\caption{{{caption(table)}{of}}}",
                    f"\\label{{{label}}}",
                    tabular(table, rows),
                    *_remarks(table, rows, last=number == len(parts)),
                    "\\end{table}",
                ]
            )
        )
    return _lines("\n\n".join(blocks))


def tabular(table: Table, rows: tuple[Row, ...]) -> str:
    """Only the `tabular`: booktabs rules, `p` columns for long text, intervals below their values where the line is
    too short for them beside each other."""
    layout = Layout(table)
    columns = "".join(layout.letter(column) for column in table.columns)
    heads = " & ".join(layout.heading(column) for column in table.columns)
    # \tabularnewline and not \\: the latter means something else after \raggedright
    lines = [f"\\begin{{tabular}}{{@{{}}{columns}@{{}}}}", "\\toprule", f"{heads} \\tabularnewline", "\\midrule"]
    point = None
    for row in rows:
        if point is not None and row.tags.get("point") != point:
            lines.append("\\addlinespace")
        point = row.tags.get("point")
        cells = (layout.cell(cell, column) for cell, column in zip(row.cells, table.columns, strict=True))
        lines.append(f"{' & '.join(cells)} \\tabularnewline")
    lines += ["\\bottomrule", "\\end{tabular}"]
    # The tightest tables are set smaller, in a group of their own.
    return "\n".join(["{\\scriptsize\\setlength{\\tabcolsep}{3pt}%", *lines, "}"] if layout.small else lines)


class Layout:
    """How the columns of one table share a line of 6.5 inches: estimated in characters, as TeX is not asked."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.stacked = self.small = False
        self._wide = {column.key for column in table.columns if column.wide or self._long(column)}
        if self._least() > self.room and any(cell.interval for row in table.rows for cell in row.cells):
            self.stacked = True
        if self._least() > self.room:
            self.small = True
        self.widths = self._shares()

    @property
    def room(self) -> float:
        """Characters that a line holds in the size that the table is set in."""
        return LINE_CHARACTERS * (1.15 if self.small else 1.0)

    def letter(self, column: Column) -> str:
        """The column's letter in the preamble of the tabular."""
        if column.key in self.widths:
            return f"p{{{self.widths[column.key]:.3f}\\linewidth}}"
        return "r" if column.numeric else "l"

    def heading(self, column: Column) -> str:
        """The heading, over several lines where it is longer than what stands below it."""
        if column.key in self.widths:
            return f"\\raggedright {escape(column.heading)}"
        return _stack([escape(line) for line in _wrapped(column.heading, self._body(column))], column, "b")

    def cell(self, cell: Cell, column: Column) -> str:
        """One cell with emphasis, interval and marks."""
        wide = column.key in self.widths
        print_ = shown(cell, column)
        main = (breakable if wide else escape)(print_.main)
        if column.kind == "code" and cell.text:
            main = f"\\texttt{{{main}}}"
        if "best" in cell.flags or "tied" in cell.flags:
            main = f"\\textbf{{{main}}}"
        marks = f"\\textsuperscript{{{','.join(cell.notes)}}}" if cell.notes else ""
        if not print_.interval:
            return f"\\raggedright {main}{marks}" if wide else f"{main}{marks}"
        interval = f"{{\\scriptsize {escape(print_.interval)}}}"
        return _stack([f"{main}{marks}", interval], column, "t") if self.stacked else f"{main} {interval}{marks}"

    def lines(self, row: Row) -> int:
        """How many lines a row takes, roughly."""
        most = 2 if self.stacked else 1
        for column, cell in zip(self._table.columns, row.cells, strict=True):
            if column.key in self.widths:
                room = max(6.0, self.widths[column.key] * self.room / _breadth(column))
                most = max(most, math.ceil(len(cell.text) * 1.1 / room))
        return most

    def _body(self, column: Column) -> int:
        """Characters of the longest cell of a column."""
        position = self._table.index(column.key)
        lengths = [0]
        for row in self._table.rows:
            print_ = shown(row.cells[position], column)
            interval = math.ceil(0.8 * len(print_.interval))
            lengths.append(max(len(print_.main), interval) if self.stacked else len(print_.main) + interval)
        return max(lengths)

    def _taken(self) -> float:
        """Characters that the columns take that are not wide, with the space between columns."""
        taken = (1.6 if self.small else 2.5) * (len(self._table.columns) - 1)
        for column in self._table.columns:
            if column.key not in self._wide:
                body = self._body(column)
                taken += _breadth(column) * max(body, *(len(line) for line in _wrapped(column.heading, body)))
        return taken

    def _long(self, column: Column) -> bool:
        """Whether a column that was not meant to be wide has texts, such as names of backends, that must be broken."""
        return not column.numeric and self._body(column) > LONGEST_UNBROKEN + 2

    def _least(self) -> float:
        """Characters that the table takes at least."""
        return self._taken() + sum(self._word(column) for column in self._table.columns if column.key in self._wide)

    def _word(self, column: Column) -> float:
        """Characters of the longest piece of a wide column that is not broken."""
        position = self._table.index(column.key)
        texts = [column.heading, *(row.cells[position].text for row in self._table.rows)]
        longest = max((len(word) for text in texts for word in text.split()), default=1)
        return _breadth(column) * (min(longest, LONGEST_UNBROKEN) + 1.5)

    def _shares(self) -> dict[str, float]:
        """The share of the line that each wide column gets: its longest word at least, the rest by length of text."""
        least: dict[str, float] = {}
        wanted: dict[str, float] = {}
        for column in self._table.columns:
            if column.key in self._wide:
                least[column.key] = self._word(column)
                wanted[column.key] = max(least[column.key], _breadth(column) * (1.08 * self._body(column) + 1.5))
        if not least:
            return {}
        room = max(sum(least.values()), self.room - self._taken())
        spare = room - sum(least.values())
        more = sum(min(wanted[key], room) - least[key] for key in least) or 1.0
        widths = {key: least[key] + spare * (min(wanted[key], room) - least[key]) / more for key in least}
        return {key: min(wanted[key], width) / self.room for key, width in widths.items()}


def _breadth(column: Column) -> float:
    """Width of a character in units of the text face's average."""
    return 1.2 if column.kind == "code" else 1.0


def _wrapped(heading: str, room: int) -> list[str]:
    """A heading over lines no longer than what stands below it, or than its longest word."""
    return textwrap.wrap(heading, max(room, 8, *(len(word) for word in heading.split())), break_on_hyphens=False)


def _stack(lines: list[str], column: Column, at: str) -> str:
    if len(lines) == 1:
        return lines[0]
    side, joined = "r" if column.numeric else "l", " \\\\ ".join(lines)
    return f"\\begin{{tabular}}[{at}]{{@{{}}{side}@{{}}}}{joined}\\end{{tabular}}"


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


def _parts(table: Table) -> tuple[tuple[Row, ...], ...]:
    layout = Layout(table)
    parts: list[tuple[Row, ...]] = []
    current: list[Row] = []
    height = 0
    for row in table.rows:
        lines = layout.lines(row)
        if current and height + lines > PART_LINES:
            parts.append(tuple(current))
            current, height = [], 0
        current.append(row)
        height += lines
    return (*parts, tuple(current))


def _lines(text: str) -> str:
    return text.rstrip() + "\n"


REPORT = Latex()
