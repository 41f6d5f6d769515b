"""Efficiency in every report: shares with intervals, reasons in place of numbers, nothing suspicious in bold."""

import csv
import re
from dataclasses import replace

import pytest

from steelyard import plugins
from steelyard.core.comparison import Estimate
from steelyard.render.drawing import picture, pictures
from steelyard.render.output import ReportInputs
from steelyard.tables.build import build
from steelyard.tables.table import Cell
from tests.fakes.ceilings import held_against, synthetic_ceilings
from tests.fakes.runs import Outcome, llm_points, synthetic_run

BACKENDS = ("eager", "xla", "onnxruntime")
EFFECT = {"xla": 0.5, "onnxruntime": 0.2}
TABLES = ("efficiency", "goodput", "work", "roofs", "latencies", "ceilings")


def small(ceilings, **options):
    run = synthetic_run(
        backends=BACKENDS, effect=EFFECT, points=llm_points(("decode",)), headline="decode", rounds=10, **options
    )
    return held_against(run, ceilings, counted={"torch": 1.02, "xla": 1.4})


def row_of(table, arm):
    return next(row for row in table.rows if row.tags["arm"] == arm)


def notes(table, cell):
    return "; ".join(note.text for note in table.footnotes if note.mark in cell.notes)


@pytest.fixture(scope="module")
def doubtful():
    """The fastest lies above the bandwidth of memory, the others below."""
    return build(small(synthetic_ceilings(bandwidth={"memory": 25e9})))


def test_rates_shares_and_their_roofs_stand_in_the_row(doubtful):
    table = doubtful.table("efficiency")
    row = row_of(table, "eager")
    assert table.cell(row, "bytes_per_s").value == pytest.approx(538e6 / 0.06, rel=0.03)
    assert table.cell(row, "fraction").value == pytest.approx(538e6 / 0.06 / 25e9, rel=0.03)
    assert table.cell(row, "fraction").interval.low < table.cell(row, "fraction").value
    assert table.cell(row, "bound").text == "bytes, memory"
    assert table.cell(row, "ceiling").text == "measured: read by native, memory"
    assert "no peak is declared or computed" in notes(table, table.cell(row, "utilisation"))


def test_a_result_above_its_ceiling_is_flagged_and_nowhere_bold(doubtful):
    table, speed = doubtful.table("efficiency"), doubtful.table("speed-decode")
    doubt = table.cell(row_of(table, "onnxruntime"), "fraction")
    assert doubt.flags == ("suspicious",)
    assert "suspicious" in notes(table, doubt)
    latency = speed.cell(row_of(speed, "onnxruntime"), "latency_s")
    assert "suspicious" in latency.flags
    assert "times its ceiling" in notes(speed, latency)
    flags = {flag for each in doubtful.tables for row in each.rows for cell in row.cells for flag in cell.flags}
    assert not flags & {"best", "tied"}
    trusted = build(small(synthetic_ceilings(bandwidth={"memory": 250e9})))
    table = trusted.table("speed-decode")
    assert "best" in table.cell(row_of(table, "onnxruntime"), "latency_s").flags


def test_the_summary_names_what_is_above_its_ceiling(doubtful):
    assert "suspicious, above a ceiling of the machine: onnxruntime on decode" in doubtful.headline[-1]


def test_one_roof_that_is_not_known_is_told_where_the_other_bounds():
    data = build(small(replace(synthetic_ceilings(bandwidth={}), capacity_bytes={"L2": 1 << 30})))
    table = data.table("efficiency")
    bound = table.cell(row_of(table, "xla"), "bound")
    assert bound.text == "operations"
    assert "no bandwidth of L2 is known" in notes(table, bound)


@pytest.mark.parametrize("name", ["markdown", "latex", "typst", "html"])
def test_every_format_prints_it_plain_with_its_doubt(doubtful, name, tmp_path):
    drawn = pictures([plugins.figures()["roofline"]], doubtful) if name == "latex" else ()
    files = plugins.reports()[name].write(ReportInputs(data=doubtful, pictures=drawn), tmp_path)
    text = "\n".join(path.read_text() for path in files if path.suffix in (".md", ".tex", ".typ", ".html"))
    assert "suspicious" in text
    assert "Efficiency" in text
    for bold in (r"\*\*onnxruntime\*\*", r"\\textbf\{onnxruntime", r"#strong\[onnxruntime", r"<strong>onnxruntime"):
        assert not re.search(bold, text)


def test_no_cell_can_be_both():
    for flag in ("best", "tied"):
        with pytest.raises(ValueError, match="must not be set in bold"):
            Cell(value=1.0, flags=(flag, "suspicious"))


def test_without_ceilings_every_table_says_what_to_do_and_no_share_is_zero():
    data = build(small(None))
    table = data.table("efficiency")
    for row in table.rows:
        cell = table.cell(row, "fraction")
        assert cell.value is None
        assert "bench hardware ceilings" in notes(table, cell)
    assert "bench hardware ceilings" in data.table("roofs").empty
    assert "bench hardware ceilings" in data.table("latencies").empty
    for name in TABLES:
        assert not [c for r in data.table(name).rows for c in r.cells if c.value == 0]
    assert "bench hardware ceilings" in picture(plugins.figures()["roofline"], data).reason


def test_ceilings_of_a_noisy_machine_are_told_and_hold_nothing():
    data = build(small(synthetic_ceilings(grade="F")))
    table = data.table("efficiency")
    assert "too noisy" in notes(table, table.cell(row_of(table, "xla"), "fraction"))
    assert "noise grade F" in " ".join(table.notes)
    goodput = data.table("goodput")
    assert "too noisy" in notes(goodput, goodput.cell(row_of(goodput, "xla"), "goodput"))
    assert goodput.cell(row_of(goodput, "xla"), "steady").value > 0
    assert "too noisy" in data.table("roofs").empty
    assert len(data.table("ceilings").rows) > 10


def test_a_failed_backend_has_its_reason_in_the_row():
    statuses = {("xla", "decode"): Outcome(status="crashed", reason="killed by signal 11")}
    data = build(small(synthetic_ceilings(), statuses=statuses))
    for name, key in (("efficiency", "flop_per_s"), ("goodput", "goodput")):
        table = data.table(name)
        assert "killed by signal 11" in notes(table, table.cell(row_of(table, "xla"), key))


def test_counts_stand_beside_each_other_with_their_origin(doubtful):
    table = doubtful.table("work")
    origins = [table.cell(row, "origin").text for row in table.rows]
    assert origins == [
        "suite, analytic",
        "torch, flop counter over the module",
        "XLA, cost analysis of the unoptimised program",
    ]
    assert [table.cell(row, "agreement").text for row in table.rows] == ["", "agrees", "differs"]
    assert [table.cell(row, "ratio").value for row in table.rows[1:]] == pytest.approx([1.02, 1.4])


def test_a_changed_version_is_told():
    run = small(synthetic_ceilings(versions={"torch": "2.12.0"}))
    environment = {**run.manifest.environment, "packages": {"torch": "2.13.0"}}
    data = build(replace(run, manifest=replace(run.manifest, environment=environment)))
    assert "Since then the versions of torch changed." in " ".join(data.table("efficiency").notes)


def test_a_roof_of_too_few_rounds_leaves_its_share_without_an_interval():
    ceilings = synthetic_ceilings()
    rows = tuple(
        replace(row, estimate=Estimate(value=row.estimate.value, interval=None, n=1, reason="1 round")
                if row.estimate is not None else None)
        for row in ceilings.rows
    )  # fmt: skip
    data = build(small(replace(ceilings, rows=rows)))
    table = data.table("efficiency")
    cell = table.cell(row_of(table, "eager"), "fraction")
    assert cell.value is not None
    assert cell.interval is None
    assert "measured in too few rounds" in notes(table, cell)


def test_the_roofline_draws_what_the_tables_hold(doubtful):
    drawn = picture(plugins.figures()["roofline"], doubtful)
    rows = list(csv.DictReader(drawn.csv.splitlines()))
    table = doubtful.table("efficiency")
    points = {row["backend"]: row for row in rows if row["kind"] == "point"}
    for arm in BACKENDS:
        cell = table.cell(row_of(table, arm), "flop_per_s")
        assert float(points[arm]["gflop_per_s"]) == pytest.approx(cell.value * 1e-9)
        assert float(points[arm]["gflop_low"]) == pytest.approx(cell.interval.low * 1e-9)
    assert points["onnxruntime"]["suspicious"] == "yes"
    assert "Hollow" in drawn.caption
    roofs = [row for row in rows if row["kind"] == "memory roof"]
    assert [float(row["gbyte_per_s"]) for row in roofs] == [25.0]
    assert "levels" not in drawn.reason


def test_ridges_stand_where_bandwidth_meets_peak(doubtful):
    from steelyard.reports.figures.roofline import DrawnRoof, ridges

    roofs = [
        DrawnRoof(kind="compute", name="float32", origin="measured", rate=200.0),
        DrawnRoof(kind="compute", name="float32", origin="declared", rate=300.0),
        DrawnRoof(kind="memory", name="memory", origin="measured", rate=20.0),
        DrawnRoof(kind="memory", name="memory", origin="declared", rate=50.0),
        DrawnRoof(kind="memory", name="memory", origin="computed", rate=100.0),
    ]
    assert ridges(roofs) == [(10.0, 200.0), (6.0, 300.0), (2.0, 200.0)]
