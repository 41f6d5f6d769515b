"""The table of right answers: of points that have labels, the launch with the fewest, beside the reference's."""

import dataclasses

from steelyard.core.workload import SCORE, SCORED
from steelyard.sections.quality import quality_table
from steelyard.tables.facts import gather
from tests.fakes.runs import llm_points, synthetic_run


def scored_run(counts):
    """A run of which `generate` has labels; `counts` are right answers of 40 by backend, launch after launch."""
    settings = {SCORE: "m:f", SCORED: "words read"}
    points = [
        dataclasses.replace(point, settings={**point.settings, **settings}) if point.workload == "generate" else point
        for point in llm_points()
    ]
    run = synthetic_run(points=points)
    workloads = {case.id: case.point.workload for case in run.manifest.cases}
    left = {arm: list(numbers) for arm, numbers in counts.items()}
    results = []
    for result in run.results:
        if workloads[result.case_id] == "generate" and left.get(result.arm):
            driver = {SCORE: {"right": float(left[result.arm].pop(0)), "of": 40.0, "reference": 39.0}}
            result = dataclasses.replace(result, details=dataclasses.replace(result.details, driver=driver))
        results.append(result)
    return dataclasses.replace(run, results=tuple(results))


def test_the_launch_with_the_fewest_right_answers_counts():
    run = scored_run({"eager": [39, 39], "xla": [38, 36]})
    table = quality_table(gather(run))
    assert {row.tags["workload"] for row in table.rows} == {"generate"}
    rows = {row.tags["arm"]: row for row in table.rows}
    shown = {arm: (table.cell(row, "right").value, table.cell(row, "counts").text) for arm, row in rows.items()}
    assert shown["eager"] == (39 / 40, "39 of 40")
    assert shown["xla"] == (36 / 40, "36 of 40")
    assert table.cell(rows["xla"], "reference").value == 39 / 40
    assert table.cell(rows["xla"], "what").text == "words read"
    notes = {note.mark: note.text for note in table.footnotes}
    assert [notes[mark] for mark in table.cell(rows["xla"], "right").notes] == ["up to 38 in other launches"]


def test_a_backend_that_counted_nothing_has_a_reason_and_no_zero():
    table = quality_table(gather(scored_run({"eager": [39]})))
    (row,) = [row for row in table.rows if row.tags["arm"] == "xla"]
    cell = table.cell(row, "right")
    notes = {note.mark: note.text for note in table.footnotes}
    assert cell.value is None
    assert [notes[mark] for mark in cell.notes] == ["xla, generate: no launch of it counted any answer"]


def test_a_run_without_labels_has_no_such_table():
    assert quality_table(gather(synthetic_run())) is None
