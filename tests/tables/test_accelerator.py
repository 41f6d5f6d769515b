"""The table of an accelerator: both clocks apart, slowed windows counted, nothing of it on a CPU."""

import dataclasses

import pytest

from steelyard import plugins
from steelyard.core.run import Run
from steelyard.render.output import ReportInputs
from steelyard.tables.build import build
from tests.fakes.accelerated import GPU, accelerated
from tests.fakes.runs import Outcome, llm_points, synthetic_run


def on_a_gpu(**changes) -> Run:
    """eager tells the device's time and was slowed in two rounds; xla tells none."""
    points = llm_points(("decode",))
    return accelerated(
        synthetic_run(backends=("eager", "xla"), rounds=6, device=GPU, points=points, headline="decode", **changes)
    )


def row_of(table, arm):
    return next(row for row in table.rows if row.tags["arm"] == arm)


def test_both_clocks_stand_apart_and_slowed_windows_are_counted():
    table = build(on_a_gpu()).table("device")
    eager, xla = row_of(table, "eager"), row_of(table, "xla")
    host, own = table.cell(eager, "latency_s").value, table.cell(eager, "device_s").value
    assert own == pytest.approx(0.8 * host, rel=0.05)
    assert table.cell(eager, "slowed").text == "2 of 6: power cap"
    assert table.cell(eager, "others").text == "2 of 6"
    assert table.cell(eager, "l2").text == "cold"
    assert table.cell(eager, "graphs").text == "CUDA graphs"
    assert table.cell(xla, "device_s").value is None
    assert table.cell(xla, "slowed").text == "0 of 6"
    assert any(note.text == "xla: no events on this clock" for note in table.footnotes)


def test_a_device_time_is_compared_with_nothing_and_changes_no_other_number():
    with_it = build(on_a_gpu())
    run = on_a_gpu()
    without = tuple(
        dataclasses.replace(result, measurements=tuple(m for m in result.measurements if m.metric != "device_s"))
        for result in run.results
    )
    bare = build(dataclasses.replace(run, results=without))
    for name in ("speed", "spread"):
        assert [table for table in with_it.tables if table.name == name] == [t for t in bare.tables if t.name == name]


def test_a_target_that_nobody_has_seen_is_called_experimental_in_the_report(tmp_path):
    data = build(on_a_gpu())
    assert "experimental: not seen on hardware" in {
        cell.text for row in data.table("device").rows for cell in row.cells
    }
    inputs = ReportInputs(data=data)
    (written,) = [path for path in plugins.reports()["markdown"].write(inputs, tmp_path) if path.suffix == ".md"]
    text = written.read_text()
    assert "Experimental: not seen on hardware: no published run has shown eager, xla" in text
    assert "Windows slowed" in text


def test_a_wrong_answer_has_neither_time():
    table = build(on_a_gpu(statuses={("eager", "decode"): Outcome(status="incorrect", stage="check")})).table("device")
    cells = [table.cell(row_of(table, "eager"), key) for key in ("latency_s", "device_s")]
    assert [cell.value for cell in cells] == [None, None]


def test_a_run_on_a_cpu_has_no_such_table_and_no_such_sentence():
    data = build(synthetic_run(backends=("eager", "xla"), rounds=3))
    assert "device" not in {table.name for table in data.tables}
    assert not any("xperimental" in text for part in data.paragraphs for text in part.sentences)
