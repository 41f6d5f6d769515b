"""What a report prints: tables of typed cells, footnotes, captions, headline sentences and macros.

Values are in base SI units; `steelyard.tables.format` alone scales them for print.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from steelyard.core.citation import Citation
from steelyard.core.comparison import Interval
from steelyard.core.errors import UsageError, unknown_name
from steelyard.tables.samples import Calls

Kind = Literal["text", "code", "number", "scientific", "integer"]
Flag = Literal["best", "tied", "baseline", "control", "withheld", "failed", "exploratory", "suspicious", "approximate"]
Place = Literal["main", "detail", "data"]
About = Literal["tool", "runtime", "model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. `unit` is the base unit of the values, `shown` the unit they are printed in.

    `kind` `code` is text to be set in a typewriter face; `wide` text may be broken over lines. `tags` say what the
    whole column is about (arm, device), for filters.
    """

    key: str
    title: str
    kind: Kind = "text"
    unit: str = ""
    shown: str = ""
    wide: bool = False
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def numeric(self) -> bool:
        """Whether the cells hold values, set flush right."""
        return self.kind in ("number", "scientific", "integer")

    @property
    def heading(self) -> str:
        """The title with the printed unit in brackets."""
        unit = self.shown or self.unit
        return f"{self.title} [{unit}]" if unit and unit not in ("1", "×") else self.title


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A value with its interval, or a text. Without a value the text or a footnote says why; never a zero.

    What is suspicious or approximate is never set in bold: ValueError where a cell asks for both.
    """

    value: float | None = None
    interval: Interval | None = None
    text: str = ""
    flags: tuple[Flag, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if {"best", "tied"} & set(self.flags) and (doubts := {"suspicious", "approximate"} & set(self.flags)):
            raise ValueError(f"a cell that is {' and '.join(sorted(doubts))} must not be set in bold")

    @property
    def numbers(self) -> tuple[float | None, float | None, float | None]:
        """The value and the ends of its interval, each None where there is none."""
        ends = self.interval
        return (self.value, None, None) if ends is None else (self.value, ends.low, ends.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footnote:
    """A remark that cells point to by its mark."""

    mark: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Cells in column order. `tags` say what the row is about (arm, point, status), for filters and figures."""

    cells: tuple[Cell, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table. `main` tables are results, `detail` tables evidence, `data` tables go to CSV and figures only.

    `notes` hold what is the table's own; `conditions` is one line on what it shares with the others of its report, for
    where it stands alone. `empty` says why a table has no rows; `basis` is the clause on n, statistic and interval for
    a figure of it, where there is one. Raises ValueError where a row does not fit the columns, a mark has
    no footnote, or a number is absent without a reason.
    """

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    footnotes: tuple[Footnote, ...] = ()
    notes: tuple[str, ...] = ()
    conditions: str = ""
    place: Place = "main"
    empty: str = ""
    basis: str = ""

    def __post_init__(self) -> None:
        marks = {note.mark for note in self.footnotes}
        numeric = [column.numeric for column in self.columns]
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(f"table {self.name}: {len(row.cells)} cells for {len(self.columns)} columns")
            for place, cell in enumerate(row.cells):
                if cell.notes and not marks.issuperset(cell.notes):
                    raise ValueError(f"table {self.name}, column {self.columns[place].key}: a mark has no footnote")
                if cell.value is None and numeric[place] and not (cell.text or cell.notes):
                    key = self.columns[place].key
                    raise ValueError(f"table {self.name}, column {key}: a number is absent without a reason")
        if not self.rows and not self.empty:
            raise ValueError(f"table {self.name}: no rows and no reason")

    @property
    def is_speed(self) -> bool:
        """Whether it is a workload's own table of latency, throughput and verdicts."""
        return self.name.startswith("speed-")

    def index(self, key: str) -> int:
        """The position of a column. Raises UsageError naming the columns."""
        for position, column in enumerate(self.columns):
            if column.key == key:
                return position
        raise unknown_name(f"column of table {self.name}", key, [column.key for column in self.columns])

    def cell(self, row: Row, key: str) -> Cell:
        """The cell of a row in a named column."""
        return row.cells[self.index(key)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Macro:
    """A headline number under a name that LaTeX accepts (letters only), as it is printed in the tables."""

    name: str
    text: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """A generated paragraph with its heading, e.g. the methodology, as whole sentences.

    `cited` gives, by the number of a sentence, the keys of the bibliography that it cites at its end.
    """

    name: str
    title: str
    sentences: tuple[str, ...]
    cited: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An entry of the bibliography: `key` is what `\\cite` takes, `note` says which version ran."""

    key: str
    about: About
    citation: Citation
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """Everything a report prints about one run. `arms` are labels in printing order, `baseline` is one of them.

    `conditions` are what all tables share, a sentence each; `software` is the sentence on driver, versions and run that
    ends each caption of a figure; `samples` are the single calls that figures show.
    """

    run_id: str
    title: str
    created_utc: str
    device: str
    baseline: str
    headline_workload: str
    arms: tuple[str, ...]
    headline: tuple[str, ...]
    paragraphs: tuple[Paragraph, ...]
    tables: tuple[Table, ...]
    macros: tuple[Macro, ...]
    conditions: tuple[str, ...] = ()
    software: str = ""
    samples: Calls = field(default_factory=Calls)
    references: tuple[Reference, ...] = ()

    def table(self, name: str) -> Table:
        """A table by name. Raises UsageError naming the tables."""
        for table in self.tables:
            if table.name == name:
                return table
        raise unknown_name("table", name, [table.name for table in self.tables])

    def speed_tables(self) -> tuple[Table, ...]:
        """The speed tables, one a workload, the headline workload first."""
        return tuple(table for table in self.tables if table.name.startswith("speed-"))


class Footnotes:
    """Collects the footnotes of one table while its rows are built; equal texts share a mark."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}

    def mark(self, text: str) -> str:
        """The mark of a text: a, b, ..., z, aa, ab, ..."""
        if not text:
            raise UsageError("a footnote needs a text")
        if text not in self._marks:
            number, mark = len(self._marks), ""
            while number >= 0:
                mark = chr(ord("a") + number % 26) + mark
                number = number // 26 - 1
            self._marks[text] = mark
        return self._marks[text]

    def all(self) -> tuple[Footnote, ...]:
        """Every footnote so far, in order."""
        return tuple(Footnote(mark=mark, text=text) for text, mark in self._marks.items())
