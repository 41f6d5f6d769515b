"""Ladders along an axis: what a larger batch or another type brought each backend, by the time of an item."""

from dataclasses import replace

import pytest
from steelyard.reports.figures.ladder import FIGURE

from steelyard.analysis.steps import Step, steps
from steelyard.core.run import Run
from steelyard.render.drawing import picture
from steelyard.tables.build import build
from tests.fakes.runs import Shape, llm_points, synthetic_run

BATCHES = (1, 2, 4)


def climbed(rungs=("batch=1", "batch=2", "batch=4"), **how) -> Run:
    """A call of twice the batch takes 1.62 times as long, and an item of it 0.81 times."""
    asked = {"backends": ("eager", "xla"), "effect": {"xla": 0.5}, "headline": "decode"}
    return synthetic_run(**{**asked, "points": llm_points(("decode",), BATCHES), "ladder": rungs, **how})


def rows_of(run: Run):
    table = build(run).table("ladder-1")
    keys = [column.key for column in table.columns]
    return table, [dict(zip(keys, row.cells, strict=True)) for row in table.rows]


def test_each_value_stands_beside_the_one_before_it_and_the_first():
    table, rows = rows_of(climbed())
    assert [(row["backend"].text, row["rung"].text) for row in rows] == [
        *(("eager", str(batch)) for batch in BATCHES),
        *(("xla", str(batch)) for batch in BATCHES),
    ]
    assert [row["verdict"].text for row in rows] == ["first rung", "faster", "faster"] * 2
    for first, second, third in (rows[:3], rows[3:]):
        assert second["step"].value == pytest.approx(1.23, rel=0.03)
        assert third["step"].value == pytest.approx(1.23, rel=0.03)
        assert third["whole"].value == pytest.approx(1.52, rel=0.03)
        assert second["step"].interval.low < second["step"].value < second["step"].interval.high
        assert second["item_s"].value == second["latency_s"].value / 2
        assert second["item_s"].interval.high == second["latency_s"].interval.high / 2
        assert first["item_s"] == replace(first["latency_s"], notes=first["item_s"].notes)
    assert table.title == "Ladder from batch=1 to batch=4"


def test_a_step_that_is_none_is_not_called_faster():
    points = tuple(point for dtype in ("float32", "bfloat16") for point in llm_points(("decode",), dtype=dtype))
    _, rows = rows_of(climbed(("dtype=float32", "dtype=bfloat16"), points=points))
    assert [row["verdict"].text for row in rows[1::2]] != ["faster"] * 2
    assert {row["verdict"].text for row in rows[1::2]} <= {"equivalent", "inconclusive"}


def test_the_way_down_is_the_way_up_turned():
    up, down = (steps(climbed(), "batch", values) for values in (("1", "2", "4"), ("4", "2", "1")))
    for step, comparison in up.items():
        back = down[Step(step.arm, step.after, step.before)]
        assert back.ratio.value == pytest.approx(1 / comparison.ratio.value)
        assert (comparison.verdict, back.verdict) == ("faster", "slower")


def test_a_value_without_a_time_is_stepped_over_and_one_without_a_configuration_is_named():
    run = climbed(("batch=1", "batch=2", "batch=4", "batch=8"))
    middle = {case.id for case in run.manifest.cases if case.point.axes["batch"] == 2}
    failed = [
        replace(result, status="failed", reason="out of memory", measurements=())
        if result.case_id in middle
        else result
        for result in run.results
    ]
    table, rows = rows_of(replace(run, results=tuple(failed)))
    assert rows[1]["latency_s"].value is None
    assert rows[1]["step"].value is None
    assert rows[2]["step"].value == pytest.approx(1.52, rel=0.03)
    assert table.notes == ("batch=8 is left out: no configuration has it.",)


def test_the_figure_has_a_panel_for_each_backend_and_a_bar_for_each_value():
    item = picture(FIGURE, build(climbed()))
    assert item.pdf.startswith(b"%PDF")
    assert len(item.csv.splitlines()) == 1 + 2 * len(BATCHES)
    assert "item_s" in item.csv.splitlines()[0]


def test_what_is_judged_of_unsteady_launches_is_the_time_of_an_item_too():
    unsteady = Shape(overrides={(arm, "decode"): "slowed" for arm in ("eager", "xla")}, drift=0.02)
    found = steps(climbed(shape=unsteady), "batch", ("1", "4"))
    for comparison in found.values():
        assert comparison.evidence["low_judged"] < comparison.ratio.value < comparison.evidence["high_judged"]
        assert comparison.verdict == "faster"
