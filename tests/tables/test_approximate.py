"""A result that needed a stated tolerance keeps its speed, is marked wherever it is told, and is never the fastest."""

import csv
import io
from pathlib import Path

import pytest

from steelyard import plugins
from steelyard.across.report import build_across
from steelyard.analysis import compare_run, compare_runs
from steelyard.analysis.factor import find_factor
from steelyard.cli.shown import lines_of
from steelyard.cli.terminal import Terminal
from steelyard.core.run import Run
from steelyard.render.output import ReportInputs
from steelyard.store import StoredRun
from steelyard.tables.baselines import against
from steelyard.tables.build import build
from steelyard.tables.facts import gather
from steelyard.tables.records import records
from steelyard.tables.table import Cell, ReportData, Row, Table
from tests.fakes.approximate import under_tolerance
from tests.fakes.runs import llm_points, synthetic_run

TRUTH = {"xla": 0.6, "onnxruntime": 0.4}
STATED = "tolerance 0.001, stated by --tolerance"
MARK = "approximate: logits: relative error 0.0005 exceeds 2e-05, what its dtype allows"


def made(seed: int = 0, batches: tuple[int, ...] = (1,)) -> Run:
    return synthetic_run(
        backends=("eager", "xla", "onnxruntime"),
        effect=TRUTH,
        rounds=12,
        points=llm_points(("prefill", "decode"), batches),
        headline="decode",
        seed=seed,
    )


@pytest.fixture(scope="module")
def run() -> Run:
    return under_tolerance(made(), "onnxruntime")


@pytest.fixture(scope="module")
def data(run: Run) -> ReportData:
    return build(run)


def row(table: Table, arm: str) -> Row:
    return next(row for row in table.rows if row.tags["arm"] == arm)


def bold(table: Table) -> list[str]:
    return [row.tags["arm"] for row in table.rows for cell in row.cells[:2] if {"best", "tied"} & set(cell.flags)]


def notes(table: Table, cell: Cell) -> list[str]:
    return [note.text for note in table.footnotes if note.mark in cell.notes]


def test_it_keeps_its_speed_and_its_comparison_with_the_mark_beside_both(data: ReportData) -> None:
    table = data.table("speed-decode")
    found = row(table, "onnxruntime")
    latency, verdict = table.cell(found, "latency_s"), table.cell(found, "verdict")
    assert latency.value is not None
    assert table.cell(found, "speedup").value == pytest.approx(1 / 0.4, rel=0.05)
    assert verdict.text == "faster (approximate)"
    assert "approximate" in latency.flags
    for cell in (latency, verdict):
        assert any(text.startswith(f"onnxruntime: {MARK}") for text in notes(table, cell))


def test_the_fastest_of_equal_work_is_set_in_bold_in_its_place(data: ReportData) -> None:
    assert set(bold(build(made()).table("speed-decode"))) == {"onnxruntime"}
    table = data.table("speed-decode")
    assert set(bold(table)) == {"xla"}
    assert any("What is approximate takes no part." in note for note in table.notes)


def test_nobody_is_the_fastest_against_an_approximate_baseline() -> None:
    table = build(under_tolerance(made(), "eager")).table("speed-decode")
    assert bold(table) == []
    assert table.cell(row(table, "eager"), "verdict").text == "baseline (approximate)"
    assert any("eager: approximate" in text for text in notes(table, table.cell(row(table, "xla"), "verdict")))


@pytest.mark.parametrize("flag", ["best", "tied"])
def test_no_cell_can_be_approximate_and_bold(flag: str) -> None:
    with pytest.raises(ValueError, match="approximate must not be set in bold"):
        Cell(value=1.0, flags=(flag, "approximate"))  # type: ignore[arg-type]


def test_every_time_under_a_stated_tolerance_says_it_and_no_other_does(data: ReportData) -> None:
    table = data.table("speed-decode")
    assert all(STATED in notes(table, table.cell(each, "latency_s")) for each in table.rows)
    assert "olerance" not in str([note.text for table in build(made()).tables for note in table.footnotes])


@pytest.mark.parametrize("name", ["markdown", "latex", "typst", "html", "csv"])
def test_each_format_prints_tolerance_and_mark(name: str, data: ReportData, tmp_path) -> None:
    files = plugins.reports()[name].write(ReportInputs(data=data), tmp_path)
    text = "".join(path.read_text() for path in files if path.suffix != ".pdf").replace("\\", "")
    assert "0.001, stated by" in text
    assert "faster (approximate)" in text
    if name == "csv":
        lines = list(csv.DictReader(io.StringIO((tmp_path / "csv/speed-decode.csv").read_text())))
        assert all(STATED in line["remarks"] for line in lines)
        assert [line["backend"] for line in lines if MARK in line["remarks"]] == ["onnxruntime"]


def test_a_macro_says_it_with_the_verdict(data: ReportData) -> None:
    texts = {macro.name: macro.text for macro in data.macros}
    assert texts["SyOnnxruntimeDecodeVerdict"] == "faster (approximate)"


def test_the_terminal_says_it(run: Run) -> None:
    terminal = Terminal(width=100, colour=False, unicode=True)
    lines = " ".join(" ".join(lines_of(StoredRun(path=Path(), run=run, notes=()), gather(run), terminal)).split())
    assert "faster ≈" in lines
    assert f"onnxruntime: {MARK}" in lines
    assert "tolerance: 0.001, stated by --tolerance" in lines


def test_the_summary_says_it(data: ReportData) -> None:
    assert "onnxruntime (approximate) is faster" in data.headline[0]
    assert "approximate, which is no equal work: onnxruntime on decode" in data.headline[-1]
    assert "every backend that ran was correct" not in data.headline[-1]


def test_a_mean_over_points_says_at_which_the_work_was_not_equal() -> None:
    table = build(under_tolerance(made(), "xla", workload="prefill")).table("overall")
    texts = {each.tags["arm"]: notes(table, table.cell(each, "speedup")) for each in table.rows}
    assert not any("approximate" in text for text in texts["onnxruntime"])
    assert any(text.startswith(f"on prefill xla: {MARK}") for text in texts["xla"])


def test_the_profile_holds_nobody_against_an_approximate_time() -> None:
    table = build(under_tolerance(made(batches=(1, 2, 4, 8)), "onnxruntime")).table("profile")
    assert {table.cell(each, "ratio").text for each in table.rows if each.tags["arm"] == "onnxruntime"} == {
        "approximate"
    }
    assert {table.cell(each, "ratio").value for each in table.rows if each.tags["arm"] == "xla"} == {1.0}


def test_another_baseline_of_the_page_says_it_too(run: Run) -> None:
    found, _, _ = against(gather(run))
    assert found["xla", "onnxruntime", "decode", "latency_s"].verdict == "faster (approximate)"
    assert found["onnxruntime", "xla", "decode", "latency_s"].verdict == "slower (approximate)"
    assert found["xla", "eager", "decode", "latency_s"].verdict == "slower"


def test_a_comparison_holds_it_with_the_ratio(run: Run) -> None:
    found = {item.candidate: item for item in compare_run(run) if item.workload == "decode"}
    assert found["onnxruntime"].verdict == "faster"
    assert found["onnxruntime"].remark.startswith(f"onnxruntime: {MARK}")
    assert found["xla"].approximate == ""


def test_runs_under_another_tolerance_differ_in_a_factor_that_is_named(run: Run) -> None:
    plain = made(seed=1)
    assert find_factor([plain], [run]).name == "tolerance"
    found = compare_runs([plain], [run])
    assert {item.approximate != "" for item in found if item.candidate == "onnxruntime"} == {True}
    across = build_across([[plain], [run]], [found])
    table = across.table("across-latency")
    cell = table.cell(table.rows[0], "onnxruntime | tolerance=0.001")
    assert [text.split(":")[0] for text in notes(table, cell)[-2:]] == ["tolerance=0.001", "tolerance=0.001"]
    assert any(STATED in text for text in notes(table, cell))
    assert any(MARK in text for text in notes(table, cell))


@pytest.mark.parametrize("name", ["github-action", "google-benchmark", "junit", "pytest-benchmark", "pytorch-oss"])
def test_the_exports_that_have_room_for_words_say_it(name: str, run: Run, data: ReportData, tmp_path) -> None:
    inputs = ReportInputs(data=data, records=(records(gather(run)),))
    text = "".join(path.read_text() for path in plugins.reports()[name].write(inputs, tmp_path))
    assert MARK in text
