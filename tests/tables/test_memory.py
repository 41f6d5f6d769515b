"""What a compiler planned: the same whichever case ran first, and told as far as launches agree."""

import dataclasses

import pytest

from steelyard.core.metrics import Reading
from steelyard.tables.build import build
from tests.fakes.runs import llm_points, synthetic_run

KEY = "planned_bytes/compile"


def planned(change):
    """The cell of xla's plan, and its footnotes, of a run whose results were changed."""
    run = synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode")
    table = build(dataclasses.replace(run, results=tuple(map(change, run.results)))).table("memory-plan")
    (row,) = (row for row in table.rows if table.cell(row, "backend").text == "xla")
    cell = table.cell(row, KEY)
    return cell, [note.text for note in table.footnotes if note.mark in cell.notes]


def test_a_plan_is_told_by_a_launch_in_which_another_case_ran_first():
    cell, notes = planned(lambda result: dataclasses.replace(result, first_in_launch=False))
    assert (cell.value, notes) == (5.6e8, [])


def test_plans_that_differ_show_the_largest_and_say_so():
    def change(result):
        if result.memory.get(KEY) is None or result.memory[KEY].value is None or result.round % 2:
            return result
        return dataclasses.replace(result, memory={**result.memory, KEY: Reading(value=6e8, unit="B", method="m")})

    cell, notes = planned(change)
    assert cell.value == 6e8
    assert notes == ["launches differ in what they planned; the largest is shown"]


@pytest.mark.parametrize("status", ["incorrect", "crashed"])
def test_what_failed_has_no_plan(status):
    def change(result):
        return dataclasses.replace(result, status=status, stage="check", reason="it is wrong", measurements=())

    cell, notes = planned(change)
    assert cell.value is None
    assert notes
