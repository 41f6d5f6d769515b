"""What is said of rounds in groups: which, why, and what a reader may not conclude."""

from dataclasses import replace

import pytest
from steelyard.reports.figures.time_order import FIGURE

from steelyard.core.result import Place
from steelyard.core.run import Run
from steelyard.render.style import Look
from steelyard.sections.environment import plan_table
from steelyard.sections.noise import launches_table, segments_table
from steelyard.tables.build import build
from steelyard.tables.calls import samples
from steelyard.tables.facts import gather
from steelyard.tables.provenance import launches_of_a_round
from steelyard.tables.threats import threats
from steelyard.tables.words import paragraphs
from tests.fakes.groups import WHY, in_groups
from tests.fakes.runs import llm_points, synthetic_run


@pytest.fixture(scope="module")
def grouped() -> Run:
    run = synthetic_run(
        backends=("eager", "xla", "onnxruntime"), rounds=8, points=llm_points(("decode",)), headline="decode"
    )
    return in_groups(run, ("xla",), ("onnxruntime", "eager (control)"))


def test_the_segment_and_the_plan_say_how_the_launches_of_a_round_ran(grouped: Run) -> None:
    facts = gather(grouped)
    (row,) = segments_table(facts).rows
    assert f"in turns in 2 groups: {WHY}" in [cell.text for cell in row.cells]
    told = {row.cells[0].text: row.cells[1].text for row in plan_table(facts).rows}
    assert told["launches of a round"] == "in turns in 2 groups"


def test_of_a_killed_segment_the_launches_tell_how_they_ran(grouped: Run) -> None:
    (segment,) = grouped.segments
    assert launches_of_a_round(grouped, replace(segment, turns="", groups="")) == "in turns in 2 groups"


def test_what_a_reader_may_not_conclude(grouped: Run) -> None:
    told = " ".join(threats(gather(grouped)).sentences)
    assert "Memory did not hold all launches of a round at once: they ran in turns in 2 groups" in told
    (segment,) = grouped.segments
    manifest = replace(grouped.manifest, plan={**grouped.manifest.plan, "turns": True})
    apart = replace(grouped, manifest=manifest, segments=(replace(segment, turns="together they need", groups=""),))
    assert "one after the other (together they need)" in " ".join(threats(gather(apart)).sentences)


def test_the_launches_of_the_baseline_have_rows_with_medians_of_their_own(grouped: Run) -> None:
    table = launches_table(gather(grouped))
    rows = [
        [table.cell(row, name).value for name in ("round", "group", "median_s")]
        for row in table.rows
        if table.cell(row, "arm").text == "eager" and table.cell(row, "round").value == 3
    ]
    assert [row[:2] for row in rows] == [[3, 0], [3, 1]]
    assert rows[0][2] < rows[1][2]


def test_a_group_has_a_column_of_its_own_in_the_order_of_time(grouped: Run) -> None:
    timeline = samples(gather(grouped)).timeline
    assert timeline is not None
    assert timeline.columns == tuple(Place(number, group) for number in range(1, 9) for group in (0, 1))
    drawing = FIGURE.draw(build(grouped), Look())
    assert drawing.figure is not None
    assert drawing.figure.axes[-1].get_xlabel().startswith("round.group")


def test_the_method_says_in_what_launches_are_paired(grouped: Run) -> None:
    assert "ran in turns in 2 groups, each with its own launch of eager" in str(paragraphs(gather(grouped), ()))
