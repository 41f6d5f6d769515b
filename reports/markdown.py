"""Markdown: one page that a repository or a pull request shows as it is."""

import re
from functools import lru_cache
from pathlib import Path

from steelyard.core.visible import visible
from steelyard.render.output import ReportInputs, printed, save
from steelyard.tables.format import shown
from steelyard.tables.table import Cell, Column, Table

_SPECIAL = re.compile(r"([\\`*_\[\]#|~$])")
_LINE_BREAK = re.compile(r"\s*[\r\n\t]+\s*")
_BULLET = re.compile(r"^([-+=])(?=\s|$|-|=)")
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")


class Markdown:
    """`report.md`: summary, what all tables share, figures where they are written beside it, tables, paragraphs."""

    name = "markdown"
    draws = False

    def write(self, inputs: ReportInputs, directory: Path) -> tuple[Path, ...]:
        """Write `report.md`."""
        data = inputs.data
        parts = [f"# {escape(data.title)}", *(f"- {escape(sentence)}" for sentence in data.headline), ""]
        if data.conditions:
            parts += ["## Conditions", "", *(f"- {escape(sentence)}" for sentence in data.conditions), ""]
        sections = printed(data)
        for title, tables in sections:
            parts += [f"## {title}", ""]
            for table in tables:
                parts += [_table(table), ""]
            if title == sections[0][0] and inputs.figures_beside:
                parts += self._figures(inputs)
        for paragraph in data.paragraphs:
            parts += [f"## {escape(paragraph.title)}", "", escape(" ".join(paragraph.sentences)), ""]
        return (save(directory / "report.md", "\n".join(parts).rstrip() + "\n"),)

    def _figures(self, inputs: ReportInputs) -> list[str]:
        lines = ["## Figures", ""]
        for picture in inputs.pictures:
            if picture.reason:
                lines += [f"{escape(picture.title)}: {escape(picture.reason)}.", ""]
            else:
                link = f"![{escape(picture.alternative)}](figures/{picture.name}.svg)"
                lines += [link, "", escape(picture.caption), ""]
        return lines


@lru_cache(1 << 14)  # tables say the same words over and over
def escape(text: str) -> str:
    """A text that Markdown prints as it is, in one line, HTML included."""
    safe = _SPECIAL.sub(r"\\\1", visible(_LINE_BREAK.sub(" ", text)))
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;")):
        safe = safe.replace(character, entity)
    # At the start of a line these would begin a list or underline a heading.
    return _NUMBERED.sub(r"\1\\\2", _BULLET.sub(r"\\\1", safe))


def code(text: str) -> str:
    """A text as a code span of a table; a bar is escaped, backticks inside get a longer fence."""
    line = visible(_LINE_BREAK.sub(" ", text)).replace("|", r"\|")
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _table(table: Table) -> str:
    lines = [f"### {escape(table.title)}", "", *([escape(table.caption), ""] if table.caption else [])]
    if not table.rows:
        return "\n".join([*lines, f"*{escape(table.empty)}*"])
    lines.append(_line([escape(column.heading) for column in table.columns]))
    lines.append(_line(["---:" if column.numeric else "---" for column in table.columns]))
    lines += [
        _line([_cell(cell, column) for cell, column in zip(row.cells, table.columns, strict=True)])
        for row in table.rows
    ]
    remarks = [f"<sup>{note.mark}</sup> {escape(note.text)}" for note in table.footnotes]
    remarks += [escape(note) for note in table.notes]
    if remarks:
        lines += ["", "<br>\n".join(remarks)]
    return "\n".join(lines)


def _cell(cell: Cell, column: Column) -> str:
    if column.kind == "code" and cell.text:
        body = code(cell.text)
    else:
        print_ = shown(cell, column)
        main = escape(print_.main)
        if "best" in cell.flags or "tied" in cell.flags:
            main = f"**{main}**"
        body = f"{main} {escape(print_.interval)}".rstrip()
    return body + (f"<sup>{','.join(cell.notes)}</sup>" if cell.notes else "")


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


REPORT = Markdown()
