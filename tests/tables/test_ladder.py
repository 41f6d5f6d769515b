"""Ladders: what each rung brought over the one before it, in the verdicts that stand elsewhere in the report, too."""

import pytest

from steelyard import plugins
from steelyard.analysis import compare_run
from steelyard.core.run import Run
from steelyard.core.settings import read
from steelyard.render.drawing import picture
from steelyard.tables.build import build
from tests.fakes.runs import Outcome, llm_points, synthetic_run

RUNGS = ("eager", "inductor", "inductor[freezing]", "inductor[freezing,max_autotune]")
EFFECT = {"inductor": 0.7, "inductor[freezing]": 0.7, "inductor[freezing,max_autotune]": 0.4}


def climbed(rungs=RUNGS, **how) -> Run:
    backends = how.pop("backends", RUNGS)
    asked = {"backends": backends, "effect": EFFECT, "points": llm_points(("decode",)), "headline": "decode"}
    return synthetic_run(**{**asked, "ladder": rungs, **how})


def rows_of(run: Run):
    table = build(run).table("ladder-1")
    keys = [column.key for column in table.columns]
    return table, [dict(zip(keys, row.cells, strict=True)) for row in table.rows]


def test_each_rung_stands_beside_the_one_before_it_and_the_first():
    table, rows = rows_of(climbed())
    assert [row["backend"].text for row in rows] == list(RUNGS)
    assert [row["verdict"].text for row in rows][:2] == ["first rung", "faster"]
    assert rows[2]["verdict"].text in ("equivalent", "inconclusive")  # freezing brought nothing
    assert rows[3]["verdict"].text == "faster"
    assert rows[1]["step"].value == pytest.approx(1 / 0.7, rel=0.03)
    assert rows[2]["step"].value == pytest.approx(1.0, rel=0.03)
    assert rows[3]["step"].value == pytest.approx(0.7 / 0.4, rel=0.03)
    assert rows[3]["whole"].value == pytest.approx(1 / 0.4, rel=0.03)
    assert all(row["step"].interval is not None for row in rows[1:])
    assert table.title == "Ladder from eager to inductor[freezing,max_autotune]"


def test_the_step_from_the_first_rung_is_the_runs_own_comparison():
    run = climbed()
    _, rows = rows_of(run)
    (own,) = [c for c in compare_run(run) if c.candidate == "inductor" and c.metric == "latency_s"]
    assert rows[1]["step"].value == own.speedup.value
    assert rows[1]["verdict"].text == own.verdict


def test_a_step_down_is_slower():
    _, rows = rows_of(climbed(effect={**EFFECT, "inductor[freezing]": 1.5}))
    assert [row["verdict"].text for row in rows] == ["first rung", "faster", "slower", "faster"]
    assert rows[2]["step"].value < 1


def test_a_rung_without_a_time_is_stepped_over_and_one_that_cannot_run_is_named():
    statuses = {("inductor[freezing]", "decode"): Outcome(status="crashed", stage="compile", reason="signal 11")}
    rungs = (*RUNGS, "tensorrt")
    table, rows = rows_of(climbed(rungs, statuses=statuses))
    assert rows[2]["latency_s"].value is None
    assert rows[2]["verdict"].text != "faster"
    assert rows[3]["step"].value == pytest.approx(0.7 / 0.4, rel=0.03)  # over the last that has one
    assert table.notes == ("tensorrt is left out: no CUDA device.",)
    assert any("signal 11" in note.text for note in table.footnotes)


def test_several_configurations_have_a_ladder_each():
    table, rows = rows_of(climbed(points=llm_points(batches=(1, 2)), headline="generate"))
    assert table.columns[0].key == "point"
    assert sum(row["verdict"].text == "first rung" for row in rows) == len({row["point"].text for row in rows})


def test_a_run_without_a_ladder_has_no_such_table():
    data = build(synthetic_run())
    assert not [table.name for table in data.tables if table.name.startswith("ladder")]
    assert "--ladder" in picture(plugins.figures()["ladder"], data, saved=False).reason


def test_the_figure_has_a_bar_for_each_rung_and_its_numbers():
    item = picture(plugins.figures()["ladder"], build(climbed()))
    assert item.pdf.startswith(b"%PDF")
    assert len(item.csv.splitlines()) == 1 + len(RUNGS)


def test_what_is_stored_of_ladders_is_read_back_and_older_runs_have_none():
    settings = climbed().manifest.settings
    assert settings.ladders == (RUNGS,)
    assert read(settings.stored) == settings
    plain = synthetic_run().manifest
    assert plain.settings.ladders == ()
    assert "ladders" not in plain.plan
