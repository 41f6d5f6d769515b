"""Throughput of several requests at a time: all items of a call over its latency, by streams and batch."""

import csv
import io
from dataclasses import replace

import pytest
from steelyard.reports.html import page

from steelyard import plugins
from steelyard.render.drawing import picture
from steelyard.render.output import ReportInputs
from steelyard.tables.build import build
from tests.fakes.runs import Outcome, llm_points, synthetic_run
from tests.fakes.streamed import streamed_points


def made(**how):
    asked = {"backends": ("eager", "openvino"), "points": streamed_points(), "headline": "decode", "rounds": 8}
    return build(synthetic_run(**{**asked, **how}))


def test_a_row_says_how_many_items_of_all_requests_are_done_in_a_second():
    table = made().table("streams-decode")
    assert [column.key for column in table.columns] == [
        "backend",
        "streams",
        "batch",
        "latency_s",
        "throughput",
        "most",
    ]
    for row in table.rows:
        streams, batch = int(row.tags["streams"]), int(row.tags["batch"])
        latency = table.cell(row, "latency_s").value
        throughput = table.cell(row, "throughput")
        assert throughput.value == pytest.approx(streams * batch / latency)
        assert throughput.interval.low < throughput.value < throughput.interval.high
    assert table.columns[4].unit == "tokens/s"


def test_the_most_of_each_backend_is_marked_once():
    table = made().table("streams-decode")
    marked = [row for row in table.rows if table.cell(row, "most").text]
    assert sorted(row.tags["arm"] for row in marked) == ["eager", "openvino"]
    for row in marked:
        others = [table.cell(r, "throughput").value for r in table.rows if r.tags["arm"] == row.tags["arm"]]
        assert table.cell(row, "throughput").value == max(others)


def test_a_backend_that_failed_has_no_number_and_says_why():
    data = made(statuses={("openvino", "decode"): Outcome(status="crashed", reason="signal 11")})
    table = data.table("streams-decode")
    failed = [row for row in table.rows if row.tags["arm"] == "openvino"]
    assert all(table.cell(row, "throughput").value is None for row in failed)
    assert any("signal 11" in note.text for note in table.footnotes)


def test_a_page_holds_the_table():
    assert "Throughput of decode by streams" in page(ReportInputs(data=made()))


def test_a_run_without_streams_has_no_such_table_and_no_figure():
    data = made(points=llm_points(("decode",)))
    assert not [table.name for table in data.tables if table.name.startswith("streams-")]
    assert "--set streams" in picture(plugins.figures()["throughput"], data, saved=False).reason


def test_the_figure_has_every_cell():
    item = picture(plugins.figures()["throughput"], made())
    rows = list(csv.DictReader(io.StringIO(item.csv)))
    assert len(rows) == 2 * 3 * 2
    assert {row["unit"] for row in rows} == {"tokens/s"}
    assert item.caption.endswith(".")


def bounded(bound_s: float):
    """Decode takes 60 ms a request, each batch item more; the second call of a cold launch 72 ms."""
    run = synthetic_run(backends=("eager", "openvino"), points=streamed_points(), headline="decode", effect={})
    plan = {**run.manifest.plan, "latency_bound_s": bound_s}
    return build(replace(run, manifest=replace(run.manifest, plan=plan)))


def test_the_most_within_a_bound_is_marked_and_what_lies_above_it_says_so():
    table = bounded(0.1).table("streams-decode")
    for row in table.rows:
        above = table.cell(row, "latency_s").value > 0.1
        assert (table.cell(row, "most").text == "above the bound") == above
    assert len([row for row in table.rows if table.cell(row, "most").text == "most"]) == 2
    assert "at most 100 ms" in table.caption


def test_where_nothing_lies_within_the_bound_nothing_is_the_most():
    table = bounded(1e-4).table("streams-decode")
    assert {table.cell(row, "most").text for row in table.rows} == {"above the bound"}
