"""Figures of compilations and of memory show the numbers of their tables, and say so where there are none."""

import dataclasses
from pathlib import Path

import pytest

from steelyard.render.style import Look
from steelyard.store import open_run
from steelyard.tracing.compilations import TITLES
from steelyard.tracing.compile_figure import CompilationTime
from steelyard.tracing.memory import OVER_TIME
from steelyard.tracing.memory_figure import MemoryOverTime
from steelyard.tracing.report import build_traced

PUBLISHED = Path(__file__).parents[2] / "results" / "published"


@pytest.fixture(scope="module")
def data():
    (traced,) = [run for run in map(open_run, sorted(p for p in PUBLISHED.iterdir() if p.is_dir())) if run.traced]
    return build_traced(traced)


def without(data, name):
    return dataclasses.replace(data, tables=tuple(table for table in data.tables if table.name != name))


def test_bars_of_a_compilation_are_the_tables_and_add_up(data):
    drawn, table = CompilationTime().draw(data, Look()), data.table("compilation")
    told = [row for row in table.rows if table.cell(row, "compile").value]
    assert len(drawn.rows) == len(told) == 8
    for row, shown in zip(told, drawn.rows, strict=True):
        numbers = dict(zip(drawn.columns, shown, strict=True))
        assert (numbers["backend"], numbers["occasion"]) == (row.tags["arm"], row.tags["occasion"])
        assert numbers["compile_s"] == table.cell(row, "compile").value
        kinds = [numbers[kind] or 0.0 for kind in (*TITLES, "unnamed")]
        assert sum(kinds) == pytest.approx(numbers["compile_s"], rel=1e-6)
        assert numbers["native"] == (table.cell(row, "native").value or 0.0)
    (axis,) = drawn.figure.axes
    widths = [patch.get_width() for patch in axis.patches]
    assert sum(widths) == pytest.approx(100 * len(told), rel=1e-3), "every bar is a whole"


def test_lines_of_memory_are_the_tables_and_their_tops_are_the_peaks(data):
    drawn, plans = MemoryOverTime().draw(data, Look()), data.table("memory-plans")
    tops = {}
    for _, arm, _, size in drawn.rows:
        tops[arm] = max(tops.get(arm, 0.0), size)
    assert set(tops) == {"eager", "inductor", "onnxruntime", "xla"}, "OpenVINO tells nothing of values"
    for row in plans.rows:
        if row.tags["arm"] in tops:
            bound = plans.cell(row, "least").value or plans.cell(row, "reached").value
            assert tops[row.tags["arm"]] == pytest.approx(bound / 2**20)
    (axis,) = drawn.figure.axes
    assert [max(line.get_ydata()) for line in axis.lines] == pytest.approx(list(tops.values()))


def test_without_their_table_they_say_why(data):
    assert CompilationTime().draw(without(data, "compilation"), Look()).reason == "no launch told of a compilation"
    assert "no launch told" in MemoryOverTime().draw(without(data, OVER_TIME), Look()).reason


@pytest.mark.parametrize(
    ("part", "unit", "scale"), [(1.0, "MiB", 1.0), (2.0**-12, "KiB", 2.0**10), (2.0**-24, "B", 2.0**20)]
)
def test_an_axis_of_memory_is_in_a_unit_that_its_numbers_are_short_in(part, unit, scale, data):
    rows = []
    table = data.table(OVER_TIME)
    place = [column.key for column in table.columns].index("held")
    for row in table.rows:
        cells = list(row.cells)
        cells[place] = dataclasses.replace(cells[place], value=(cells[place].value or 0.0) * part)
        rows.append(dataclasses.replace(row, cells=tuple(cells)))
    smaller = dataclasses.replace(table, rows=tuple(rows))
    drawn = MemoryOverTime().draw(dataclasses.replace(data, tables=(*without(data, OVER_TIME).tables, smaller)), Look())
    (axis,) = drawn.figure.axes
    largest = max(size for *_, size in drawn.rows)
    assert axis.get_ylabel() == f"held [{unit}]"
    assert max(max(line.get_ydata()) for line in axis.lines) == pytest.approx(largest * scale)
