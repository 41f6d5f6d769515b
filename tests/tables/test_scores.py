"""The tables of scores: of many configurations, with what was left out and why a number is absent."""

from dataclasses import replace

import pytest

from steelyard.tables.build import build
from tests.fakes.ceilings import held_against, synthetic_ceilings
from tests.fakes.runs import Outcome, llm_points, synthetic_run

POINTS = llm_points(workloads=("prefill", "decode"), batches=(1, 2, 4, 8))
EFFECT = {"inductor": 0.8, "xla|prefill": 0.5, "xla|decode": 2.0}


def run_of(**how):
    return synthetic_run(**{"backends": ("eager", "inductor", "xla"), "effect": EFFECT, "points": POINTS, **how})


def row_of(table, arm):
    (row,) = [row for row in table.rows if row.tags["arm"] == arm]
    return {column.key: cell for column, cell in zip(table.columns, row.cells, strict=True)}


def test_each_backend_has_its_scores():
    table = build(run_of()).table("scores")
    found = row_of(table, "xla")
    assert {key: found[key].value for key in ("points", "passed", "fast_1", "fast_2", "slower")} == {
        "points": 8,
        "passed": 1.0,
        "fast_1": 0.5,
        "fast_2": pytest.approx(0.25, abs=0.26),  # twice as fast: on either side of the limit
        "slower": 0.5,
    }
    assert found["s"].value == pytest.approx(1.0, rel=0.02)
    assert found["s"].interval is not None
    assert found["closed"].value is None  # no ceiling was measured
    assert "no ceiling is known for this device" in " ".join(note.text for note in table.footnotes)


def test_the_way_to_the_ceiling_is_that_of_the_baselines_roofline():
    table = build(held_against(run_of(), synthetic_ceilings(peak={"float32": 2e13}))).table("scores")
    assert 0 < row_of(table, "inductor")["closed"].value < 1
    assert row_of(table, "xla")["closed"].value == pytest.approx(0.0, abs=0.05)


def test_what_failed_counts_and_what_the_baseline_lacks_is_named():
    statuses = {
        ("xla", "prefill"): Outcome(status="crashed", stage="compile", reason="signal 11"),
        ("eager", "decode"): Outcome(status="crashed", stage="compile", reason="it fell over"),
    }
    points = llm_points(workloads=("prefill", "decode"), batches=(1, 2, 4, 8, 16, 32, 64, 128))
    table = build(run_of(statuses=statuses, points=points)).table("scores")
    assert row_of(table, "xla")["passed"].value == 0.0
    assert row_of(table, "xla")["s"].value == pytest.approx(0.1)
    assert row_of(table, "inductor")["points"].value == 8
    assert any(note.startswith("Left out of inductor: decode") and "it fell over" in note for note in table.notes)


def test_of_few_configurations_there_are_no_scores_and_the_figures_say_why():
    data = build(synthetic_run(points=llm_points(batches=(1, 2))))
    assert "scores" not in [table.name for table in data.tables]
    for name in ("fast-p", "tolerance-scores"):
        assert "means nothing below 8 configurations; this run has" in data.table(name).empty


def test_the_scores_by_level_have_a_row_for_each_backend_and_level():
    table = build(run_of()).table("tolerance-scores")
    assert [table.cell(row, "level").value for row in table.rows if row.tags["arm"] == "xla"] == list(range(-10, 5))
    scores = {table.cell(row, "level").value: table.cell(row, "s").value for row in table.rows}
    assert scores[-7] == pytest.approx(0.1)
    assert scores[-6] == pytest.approx(0.8**-1, rel=0.3)


def test_a_run_from_before_levels_were_recorded_says_so():
    run = run_of()

    def older(result):
        if result.correctness is None:
            return result
        checks = tuple(replace(check, level=None) for check in result.correctness.outputs)
        return replace(result, correctness=replace(result.correctness, outputs=checks))

    data = build(replace(run, results=tuple(older(result) for result in run.results)))
    assert "did not record how close" in data.table("tolerance-scores").empty
    assert row_of(data.table("scores"), "xla")["s"].value is None
