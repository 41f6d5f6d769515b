"""Markdown, CSV and the LaTeX sources: structure, escaping, the same bytes twice."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from steelyard.reports.csv import sheet
from steelyard.reports.latex import floats
from steelyard.reports.markdown import code, escape

from steelyard import plugins
from steelyard.core.comparison import Interval
from steelyard.core.errors import SteelyardError, UsageError
from steelyard.render.output import ReportInputs, kind, printed, save
from steelyard.tables.build import build
from steelyard.tables.table import Cell, Column, Footnote, Row, Table
from tests.fakes.runs import synthetic_run
from tests.reports.hostile import HOSTILE, hostile_run


@pytest.fixture(scope="module")
def inputs() -> ReportInputs:
    return ReportInputs(data=build(synthetic_run(effect={"xla": 0.5}, backends=("eager", "xla"))))


@pytest.fixture(scope="module")
def hostile() -> ReportInputs:
    return ReportInputs(data=build(hostile_run()))


def written(inputs: ReportInputs, name: str, directory: Path) -> dict[str, str]:
    files = plugins.reports()[name].write(inputs, directory)
    return {str(path.relative_to(directory)): path.read_text() for path in files if path.suffix != ".pdf"}


def small(*cells: Cell, columns=None, footnotes=()) -> Table:
    columns = columns or (
        Column(key="backend", title="Backend"),
        Column(key="latency_s", title="Latency", kind="number", unit="s", shown="ms"),
    )
    return Table(name="t", title="T", caption="C", columns=columns, rows=(Row(cells=cells),), footnotes=footnotes)


def test_every_report_is_found_by_name():
    found = {name for name, entry in plugins.reports().items() if kind(entry) != "export"}
    assert found == {"csv", "figures", "html", "latex", "markdown", "typst"}


@pytest.mark.parametrize("name", ["markdown", "csv", "latex", "typst", "html"])
def test_the_same_run_gives_the_same_bytes_on_another_path(name, inputs, tmp_path):
    first = written(inputs, name, tmp_path / "a")
    second = written(
        ReportInputs(data=build(synthetic_run(effect={"xla": 0.5}, backends=("eager", "xla")))), name, tmp_path / "b"
    )
    assert first == second
    assert first


def test_markdown_holds_every_table_and_balanced_rows(inputs, tmp_path):
    text = written(inputs, "markdown", tmp_path)["report.md"]
    for _, tables in printed(inputs.data):
        for table in tables:
            assert f"### {escape(table.title)}" in text
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block
    assert "figures/" not in text  # they were not written beside it


def test_markdown_prints_hostile_text_as_text(hostile, tmp_path):
    text = written(hostile, "markdown", tmp_path)["report.md"]
    assert "<script" not in text
    assert "![" not in text
    assert not re.search(r"(?<!\\)\]\(", text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>&", "&lt;b&gt;&amp;"),
        ("a|b_c*d", r"a\|b\_c\*d"),
        ("1. no list", r"1\. no list"),
        ("15.3", "15.3"),
        ("- no list", r"\- no list"),
        ("two\nlines", "two lines"),
        ("[x](y)", r"\[x\](y)"),
    ],
)
def test_markdown_escape(text, shown):
    assert escape(text) == shown


def test_markdown_code_outlives_backticks_and_bars():
    assert code("a`b``c") == "```a`b``c```"
    assert code("`") == "`` ` ``"
    assert code("a|b") == r"`a\|b`"


def test_csv_keeps_base_units_full_precision_and_the_interval():
    interval = Interval(low=0.1, high=1 / 3, confidence=0.95)
    rows = list(csv.DictReader(io.StringIO(sheet(small(Cell(text="xla"), Cell(value=0.2, interval=interval))))))
    assert rows == [
        {
            "backend": "xla",
            "latency_s": "0.2",
            "latency_s_low": "0.1",
            "latency_s_high": repr(1 / 3),
            "latency_s_confidence": "0.95",
            "remarks": "",
        }
    ]


def test_csv_leaves_an_absent_number_empty_and_says_why():
    table = small(Cell(text="xla"), Cell(text="–", notes=("a",)), footnotes=(Footnote(mark="a", text="crashed"),))
    (row,) = csv.DictReader(io.StringIO(sheet(table)))
    assert row == {"backend": "xla", "latency_s": "", "remarks": "crashed"}


def test_csv_does_not_hand_formulas_to_a_spreadsheet():
    (row,) = csv.DictReader(io.StringIO(sheet(small(Cell(text="=1+1"), Cell(value=1.0)))))
    assert row["backend"] == "'=1+1"


def test_the_tidy_csv_has_a_line_per_cell(inputs, tmp_path):
    rows = list(csv.DictReader(io.StringIO(written(inputs, "csv", tmp_path)["csv/all.csv"])))
    cells = sum(len(t.rows) * len(t.columns) for t in inputs.data.tables if t.place != "data")
    assert len(rows) == cells
    (found,) = [r for r in rows if r["table"] == "speed-decode" and r["arm"] == "xla" and r["column"] == "speedup"]
    assert float(found["low"]) < float(found["value"]) < float(found["high"])
    assert float(found["confidence"]) >= 0.95


def test_latex_tables_use_booktabs_and_nothing_else(inputs, tmp_path):
    files = written(inputs, "latex", tmp_path)
    tables = [text for name, text in files.items() if name.startswith("latex/tables/")]
    assert len(tables) == sum(len(tables) for _, tables in printed(inputs.data))
    for text in tables:
        assert r"\hline" not in text
        assert text.isascii()
        assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}")
    assert any(r"\toprule" in text for text in tables)


def test_latex_sets_in_bold_what_the_table_flags():
    table = small(Cell(text="xla", flags=("best",)), Cell(value=0.2, flags=("best",)))
    assert r"\textbf{xla} & \textbf{200}" in floats(table)


def test_latex_macros_are_defined_once_and_escaped(hostile, tmp_path):
    text = written(hostile, "latex", tmp_path)["latex/macros.tex"]
    names = re.findall(r"^\\newcommand\{\\(\w+)\}", text, flags=re.M)
    assert len(names) == len(set(names)) == len(hostile.data.macros)
    assert text.isascii()


@pytest.mark.parametrize("name", ["latex", "html"])
def test_hostile_names_are_never_active(name, hostile, tmp_path):
    for text in written(hostile, name, tmp_path).values():
        assert "<script>alert" not in text
        assert "<img src" not in text
        if name == "latex":
            assert r"\input{/etc" not in text
            assert r"\write18" not in text


def test_hostile_names_are_all_there(hostile):
    assert set(HOSTILE) <= set(hostile.data.arms)


def test_a_long_table_is_split_and_each_part_says_so():
    columns = (Column(key="backend", title="Backend"),)
    rows = tuple(Row(cells=(Cell(text=f"backend {number}"),)) for number in range(150))
    text = floats(Table(name="t", title="T", caption="C", columns=columns, rows=rows))
    assert text.count(r"\begin{table*}") == 3
    assert r"\caption[{T (part 1 of 3)}]{T. C (part 1 of 3)}" in text
    assert r"\caption[{T (part 2 of 3)}]{T, continued (part 2 of 3)}" in text
    assert all(f"backend {number} " in text for number in range(150))


def test_the_rows_of_a_point_stay_together_where_a_table_is_split():
    columns = (Column(key="point", title="Point"), Column(key="backend", title="Backend"))
    rows = tuple(
        Row(cells=(Cell(text=f"p{point}"), Cell(text=f"b{number}")), tags={"point": f"p{point}"})
        for point in range(20)
        for number in range(7)
    )
    text = floats(Table(name="t", title="T", caption="C", columns=columns, rows=rows))
    parts = text.split(r"\begin{table*}")[1:]
    assert len(parts) > 1
    found = [re.findall(r"^(p\d+) & (b\d)", part, flags=re.M) for part in parts]
    assert [row for part in found for row in part] == [
        (f"p{point}", f"b{number}") for point in range(20) for number in range(7)
    ]
    assert all(len(part) % 7 == 0 for part in found)


def test_a_point_of_more_rows_than_a_page_is_split_all_the_same():
    columns = (Column(key="backend", title="Backend"),)
    rows = tuple(Row(cells=(Cell(text=f"backend {number}"),), tags={"point": "p"}) for number in range(150))
    text = floats(Table(name="t", title="T", caption="C", columns=columns, rows=rows))
    assert "(part 3 of 3)" in text
    assert len(re.findall(r"^backend \d+", text, flags=re.M)) == 150


def test_a_column_of_text_without_a_word_is_left_out_in_print():
    columns = (Column(key="backend", title="Backend"), Column(key="why", title="Reason", wide=True))
    rows = (Row(cells=(Cell(text="xla"), Cell())), Row(cells=(Cell(text="eager"), Cell())))
    table = Table(name="t", title="T", caption="C", columns=columns, rows=rows)
    assert "Reason" not in floats(table)
    told = replace(table, rows=(*rows, Row(cells=(Cell(text="mine"), Cell(text="no memory")))))
    assert "Reason" in floats(told)
    assert "no memory" in floats(told)


def test_intervals_are_stacked_only_where_that_needs_fewer_tabulars():
    interval = Interval(low=1.0, high=3.0, confidence=0.95)

    def of(numbers, headings="C"):
        columns = (
            Column(key="backend", title="Backend"),
            *(Column(key=f"c{n}", title=headings, kind="number") for n in range(numbers)),
        )
        return floats(
            small(Cell(text="xla"), *(Cell(value=2.0, interval=interval) for _ in range(numbers)), columns=columns)
        )

    stack = r"2.00 \\ {\scriptsize {[}1.00, 3.00{]}}"
    assert stack not in of(4)
    assert stack in of(6)
    assert of(6).count(r"\toprule") == 1
    assert stack not in of(2, "Heading" * 8)


def test_a_caption_has_its_title_for_the_list_of_tables():
    text = floats(small(Cell(text="xla"), Cell(value=0.2)))
    assert r"\caption[{T}]{T. C}" in text


def test_in_the_file_for_a_paper_empty_tables_stand_with_the_text(tmp_path):
    empty = Table(name="none", title="None", caption="C", columns=(), rows=(), empty="nothing was asked")
    full = small(Cell(text="xla"), Cell(value=0.2))
    data = replace(build(synthetic_run(backends=("eager", "xla"))), tables=(full, empty))
    text = written(ReportInputs(data=data), "latex", tmp_path)["latex/all.tex"]
    assert text.index("tables/none}") < text.index("tables/t}")


def test_columns_that_do_not_fit_go_below_each_other_with_the_names_repeated():
    interval = Interval(low=1.0, high=3.0, confidence=0.95)
    columns = (
        Column(key="backend", title="Backend"),
        *(Column(key=f"c{number}", title=f"Column number {number}", kind="number") for number in range(20)),
    )
    cells = (Cell(text="xla"), *(Cell(value=2.0, interval=interval) for _ in range(20)))
    text = floats(small(*cells, columns=columns))
    assert text.count(r"\toprule") > 1
    assert text.count("\nxla & ") == text.count(r"\toprule")
    assert text.count("2.00") == 20


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SteelyardError, match=r"cannot be written: [^;]+; give another directory with --output"):
        save(tmp_path / "file" / "report.md", "text")


def test_an_unknown_format_names_the_valid_ones(tmp_path):
    from steelyard.service.reporting import write_run

    with pytest.raises(UsageError, match=r"unknown report format 'markdwn'; did you mean 'markdown'"):
        write_run(synthetic_run(backends=("eager", "xla")), ["markdwn"], tmp_path)
    assert not list(tmp_path.iterdir())
