"""How the columns of a table share a line of a page. Widths are estimated in characters, as no typesetter is asked."""

import math
import textwrap
from dataclasses import dataclass

from steelyard.tables.format import shown
from steelyard.tables.latex import LONGEST_UNBROKEN, breadth, breakable, escape
from steelyard.tables.table import Cell, Column, Row, Table

GAP_CHARACTERS = 2.7
"""Space between two columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a page holds of tables: characters of `\\footnotesize` on a line, and such lines. The default is a line of
    6.5 inches in a paper set at 10 points, both columns of a paper of two together."""

    characters: float = 104.0
    lines: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What one column needs, in characters: `least` unbroken, `wanted` in one line. Equal unless it is `wide`."""

    column: Column
    position: int
    wide: bool
    least: float
    wanted: float
    heading: tuple[str, ...]


class Layout:
    """A table laid out: `groups` are the columns that share a line each. Columns of text without a word are left out.

    A table too wide for a line of the page is dealt out to several tabulars, one below the other, which all begin
    with the columns that name the row; `stacked` sets intervals below their values, where that needs fewer of them.
    """

    def __init__(self, table: Table, room: Room | None = None) -> None:
        self._table = table
        self.room = room or Room()
        line = self.room.characters
        self._printed = [
            [shown(row.cells[position], column) for row in table.rows] for position, column in enumerate(table.columns)
        ]
        self.stacked = False
        dealt = _dealt(self._measures(), line)
        if len(dealt) > 1 and any(cell.interval for row in table.rows for cell in row.cells):
            self.stacked = True
            stacked = _dealt(self._measures(), line)
            self.stacked = len(stacked) < len(dealt)
            dealt = stacked if self.stacked else dealt
        self.groups = [ColumnGroup(group, self.stacked, line) for group in dealt]

    def lines(self, row: Row) -> int:
        """How many lines a row takes, in all groups, roughly."""
        return sum(group.lines(row) for group in self.groups)

    def _measures(self) -> list[Measure]:
        return [
            self._measure(position, column)
            for position, column in enumerate(self._table.columns)
            if column.numeric or any(row.cells[position].text or row.cells[position].notes for row in self._table.rows)
        ]

    def _measure(self, position: int, column: Column) -> Measure:
        face = 1.2 if column.kind == "code" else 1.0
        body, word = 0.0, 1
        for row, print_ in zip(self._table.rows, self._printed[position], strict=True):
            notes = row.cells[position].notes
            marks = 0.7 * len(",".join(notes)) if notes else 0.0
            interval = 0.85 * len(print_.interval)
            main = breadth(print_.main) + marks
            body = max(body, max(main, interval) if self.stacked else main + interval)
            if not column.numeric:
                word = max([word, *(breadth(part) for part in print_.main.split())])
        wide = not column.numeric and (column.wide or body > LONGEST_UNBROKEN + 2)
        if not wide:
            heading = _wrapped(column.heading, body)
            width = face * max(body, *(len(line) for line in heading))
            return Measure(
                column=column, position=position, wide=False, least=width, wanted=width, heading=tuple(heading)
            )
        words = [len(part) for part in column.heading.split()]
        least = face * (min(max([word, *words]), LONGEST_UNBROKEN) + 1.5)
        wanted = max(least, face * (1.08 * body + 1.5))
        return Measure(
            column=column, position=position, wide=True, least=least, wanted=wanted, heading=(column.heading,)
        )


class ColumnGroup:
    """The columns of one tabular: their `measures`, and by position the `shares` of the line that wide ones get."""

    def __init__(self, measures: list[Measure], stacked: bool, line: float) -> None:
        self.measures = measures
        self.stacked = stacked
        self.shares = _shares(measures, line)
        self._line = line
        self._set: dict[int, str] = {}  # by identity: a row is set in the whole table, and again in a part of it

    @property
    def preamble(self) -> str:
        """The columns' letters."""
        letters = []
        for measure in self.measures:
            share = self.shares.get(measure.position)
            number = "r" if measure.column.numeric else "l"
            letters.append(number if share is None else f"p{{{share:.3f}\\linewidth}}")
        return "".join(letters)

    @property
    def headings(self) -> str:
        """The row of headings; one that is longer than what stands below it goes over several lines."""
        cells = []
        for measure in self.measures:
            lines = [escape(line) for line in measure.heading]
            cells.append(f"\\raggedright {lines[0]}" if measure.wide else _stack(lines, measure.column, "b"))
        return " & ".join(cells)

    def row(self, row: Row) -> str:
        """One row of the table, with emphasis, intervals and marks."""
        found = self._set.get(id(row))
        if found is None:
            found = " & ".join(self._cell(row.cells[measure.position], measure) for measure in self.measures)
            self._set[id(row)] = found
        return found

    def lines(self, row: Row) -> int:
        """How many lines a row takes, roughly."""
        most = 2 if self.stacked and any(row.cells[measure.position].interval for measure in self.measures) else 1
        for measure in self.measures:
            if measure.wide:
                room = max(6.0, self.shares[measure.position] * self._line)
                face = 1.2 if measure.column.kind == "code" else 1.0
                most = max(most, math.ceil(breadth(row.cells[measure.position].text) * 1.1 * face / room))
        return most

    def _cell(self, cell: Cell, measure: Measure) -> str:
        column = measure.column
        print_ = shown(cell, column)
        main = (breakable if measure.wide else escape)(print_.main)
        if column.kind == "code" and cell.text:
            main = f"\\texttt{{{main}}}"
        if "best" in cell.flags or "tied" in cell.flags:
            main = f"\\textbf{{{main}}}"
        marks = f"\\textsuperscript{{{','.join(cell.notes)}}}" if cell.notes else ""
        if not print_.interval:
            return f"\\raggedright {main}{marks}" if measure.wide else f"{main}{marks}"
        interval = f"{{\\scriptsize {escape(print_.interval)}}}"
        return _stack([f"{main}{marks}", interval], column, "t") if self.stacked else f"{main} {interval}{marks}"


def _needed(measures: list[Measure]) -> float:
    return sum(measure.least for measure in measures) + GAP_CHARACTERS * (len(measures) - 1)


def _dealt(measures: list[Measure], line: float) -> list[list[Measure]]:
    """The columns in groups that fit on a line; each begins with the leading columns of short text, or with as many of
    them as leave half of the line to the others."""
    first = next((at for at, measure in enumerate(measures) if measure.column.numeric or measure.column.wide), 0)
    while first > 1 and _needed(measures[:first]) > line / 2:
        first -= 1
    groups = _greedy(measures, first, line)
    # The narrowest line that needs no more groups: otherwise the last one might hold a single column.
    width = line
    while len(groups) > 1 and width > 1 and len(_greedy(measures, first, width - 1)) == len(groups):
        width -= 1
    return _greedy(measures, first, width)


def _greedy(measures: list[Measure], first: int, width: float) -> list[list[Measure]]:
    """The same for a given width, each group beginning with the `first` columns."""
    if _needed(measures) <= width:
        return [measures]
    names, rest = measures[:first], measures[first:]
    groups: list[list[Measure]] = []
    current = list(names)
    for measure in rest:
        if len(current) > len(names) and _needed([*current, measure]) > width:
            groups.append(current)
            current = list(names)
        current.append(measure)
    return [*groups, current]


def _shares(measures: list[Measure], line: float) -> dict[int, float]:
    """The share of the line that each wide column gets: its longest word at least, the rest by length of text."""
    wide = [measure for measure in measures if measure.wide]
    if not wide:
        return {}
    least = sum(measure.least for measure in wide)
    taken = sum(measure.least for measure in measures if not measure.wide) + GAP_CHARACTERS * (len(measures) - 1)
    room = max(least, line - taken)
    more = sum(min(measure.wanted, room) - measure.least for measure in wide) or 1.0
    shares = {}
    for measure in wide:
        width = measure.least + (room - least) * (min(measure.wanted, room) - measure.least) / more
        shares[measure.position] = min(measure.wanted, width) / line
    return shares


def _wrapped(heading: str, room: float) -> list[str]:
    """A heading over lines no longer than what stands below it, or than its longest word."""
    words = (len(word) for word in heading.split())
    return textwrap.wrap(heading, max(math.floor(room), 8, *words), break_on_hyphens=False) or [""]


def _stack(lines: list[str], column: Column, at: str) -> str:
    if len(lines) == 1:
        return lines[0]
    side, joined = "r" if column.numeric else "l", " \\\\ ".join(lines)
    return f"\\begin{{tabular}}[{at}]{{@{{}}{side}@{{}}}}{joined}\\end{{tabular}}"
