"""The rules that a table keeps, whoever builds it."""

import pytest

from steelyard.core.errors import UsageError
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

TEXT = Column(key="name", title="Name")
NUMBER = Column(key="latency_s", title="Latency", kind="number", unit="s", shown="ms")


def table(*rows: Row, **more) -> Table:
    return Table(name="t", title="T", caption="C", columns=(TEXT, NUMBER), rows=rows, **more)


def test_a_number_without_value_needs_a_reason():
    with pytest.raises(ValueError, match="absent without a reason"):
        table(Row(cells=(Cell(text="a"), Cell())))


def test_a_mark_needs_its_footnote():
    with pytest.raises(ValueError, match="a mark has no footnote"):
        table(Row(cells=(Cell(text="a"), Cell(text="–", notes=("a",)))))


def test_a_row_needs_a_cell_for_each_column():
    with pytest.raises(ValueError, match="1 cells for 2 columns"):
        table(Row(cells=(Cell(text="a"),)))


def test_an_empty_table_says_why():
    with pytest.raises(ValueError, match="no rows and no reason"):
        table()
    assert table(empty="nothing ran").empty == "nothing ran"


def test_an_unknown_column_names_the_closest():
    made = table(Row(cells=(Cell(text="a"), Cell(value=1.0))))
    with pytest.raises(UsageError, match="did you mean 'latency_s'"):
        made.index("latency")


def test_marks_run_on_after_z_and_equal_texts_share_one():
    notes = Footnotes()
    marks = [notes.mark(str(number)) for number in range(30)]
    assert marks[0] == "a"
    assert marks[25:28] == ["z", "aa", "ab"]
    assert notes.mark("3") == "d"
    assert len(notes.all()) == 30
