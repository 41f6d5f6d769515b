"""The start-up table: cold and warm phases, how many launches stand behind each, and runs in which all are cold."""

import dataclasses

from steelyard import plugins
from steelyard.render.venue import look_of
from steelyard.sections.memory import memory_table
from steelyard.sections.startup import startup_table
from steelyard.tables.build import lay_out
from steelyard.tables.facts import gather
from tests.fakes.runs import llm_points, synthetic_run


def run(rounds: int = 7):
    return synthetic_run(backends=("eager", "xla"), rounds=rounds, points=llm_points(("decode",)), headline="decode")


def of(table, arm: str, key: str):
    (row,) = [row for row in table.rows if row.tags["arm"] == arm]
    return table.cell(row, key)


def cold_started():
    made = run()
    cases = tuple(dataclasses.replace(case, scenario="cold-start") for case in made.manifest.cases)
    ids = {old.id: new.id for old, new in zip(made.manifest.cases, cases, strict=True)}
    results = tuple(
        dataclasses.replace(result, case_id=ids[result.case_id], measurements=()) for result in made.results
    )
    return dataclasses.replace(made, manifest=dataclasses.replace(made.manifest, cases=cases), results=results)


def test_a_cold_number_of_one_launch_has_no_interval_and_the_caption_says_so():
    table = startup_table(gather(run()))
    assert "one launch (round 0, n = 1, no interval)" in table.caption
    assert of(table, "xla", "compile_s_cold").interval is None
    assert of(table, "xla", "compile_s_warm").interval is not None


def test_of_a_resumed_run_the_caption_counts_its_cold_rounds():
    made = run()
    again = [
        dataclasses.replace(result, launch=f"{result.launch}/again") for result in made.results if result.round == 0
    ]
    table = startup_table(gather(dataclasses.replace(made, results=(*made.results, *again))))
    assert "round 0 of each segment (n = 2 launches)" in table.caption
    assert "n = 1" not in table.caption


def test_where_every_launch_is_cold_all_phases_stand_there_with_their_intervals():
    facts = gather(cold_started())
    table = startup_table(facts)
    assert "Every launch began with empty compile caches" in table.caption
    assert "n = 8 launches" in table.caption
    for key in ("import_s_cold", "load_s_cold", "compile_s_cold", "first_run_s_cold"):
        assert of(table, "xla", key).value is not None, key
        assert of(table, "xla", key).interval is not None, key
    assert not [column.key for column in table.columns if column.key.endswith("_s_warm")]
    drawing = plugins.figures()["compilation"].draw(lay_out(facts), look_of(""))
    assert drawing.figure is None
    assert "no launch had warm compile caches" in drawing.reason


def test_where_every_launch_is_cold_their_memory_is_told():
    table = memory_table(gather(cold_started()))
    assert table.rows
    assert any(cell.value is not None for row in table.rows for cell in row.cells)
