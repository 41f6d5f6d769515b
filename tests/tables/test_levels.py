"""One level a column: an interval in a table is of 95 %, or its cell says which level it has."""

import re
from pathlib import Path

import pytest

from steelyard.analysis import compare_run
from steelyard.cli.shown import with_interval
from steelyard.store import open_run
from steelyard.tables.build import build
from steelyard.tables.facts import gather
from steelyard.tables.format import shown
from steelyard.tables.table import ReportData
from tests.reports.golden_files import quiet

ALL = sorted(path.parent for path in (Path(__file__).parents[2] / "results/published").glob("*/manifest.json"))
PUBLISHED = [path for path in ALL if not open_run(path).traced]


@pytest.fixture(scope="module", params=[*PUBLISHED, None], ids=lambda path: "synthetic" if path is None else path.name)
def run(request):
    return quiet() if request.param is None else open_run(request.param)


@pytest.fixture(scope="module")
def data(run) -> ReportData:
    return build(run)


def labels_of(run) -> dict[str, str]:
    facts = gather(run)
    return {point.key: facts.label(point) for point in facts.points}


def test_every_interval_is_of_95_percent_or_its_cell_names_its_level(data):
    seen = set()
    for table in data.tables:
        notes = {note.mark: note.text for note in table.footnotes}
        for row in table.rows:
            for cell, column in zip(row.cells, table.columns, strict=True):
                if cell.interval is None:
                    continue
                seen.add((table.name, column.key))
                level = f"{100 * cell.interval.confidence:.4g} %"
                told = [notes[mark] for mark in cell.notes]
                assert level == "95 %" or any(level in text for text in told), (table.name, column.key, level, told)
    assert {key for _, key in seen} >= {"latency_s", "speedup"}


def test_a_verdict_that_rests_on_a_wider_interval_names_its_level(run, data):
    wider = 0
    labels = {table.rows[0].tags["workload"]: table for table in data.speed_tables()}
    points = labels_of(run)
    for item in compare_run(run):
        if item.metric != "latency_s" or item.factor == "control" or not item.decided:
            continue
        table = labels[item.workload]
        (row,) = [
            row for row in table.rows if (row.tags["arm"], row.tags["point"]) == (item.candidate, points[item.point])
        ]
        if row.tags["status"] != "ok" or item.ratio.interval.confidence == 0.95:
            continue
        wider += 1
        marks = table.cell(row, "verdict").notes
        told = " ".join(note.text for note in table.footnotes if note.mark in marks)
        assert f"{100 * item.ratio.interval.confidence:.4g} % interval" in told
    assert wider or run.manifest.suite != "llm"


def test_captions_name_one_level(data):
    for table in data.speed_tables():
        assert set(re.findall(r"([\d.]+) % interval", table.caption)) == {"95"}


def test_the_terminal_prints_the_speed_up_of_the_report(run, data):
    labels = {table.rows[0].tags["workload"]: table for table in data.speed_tables()}
    points = labels_of(run)
    compared = 0
    for item in compare_run(run):
        if item.metric != "latency_s" or item.factor == "control" or item.speedup is None:
            continue
        table = labels[item.workload]
        (row,) = [
            row for row in table.rows if (row.tags["arm"], row.tags["point"]) == (item.candidate, points[item.point])
        ]
        cell = table.cell(row, "speedup")
        if cell.value is not None:
            compared += 1
            assert shown(cell, table.columns[table.index("speedup")]).text == with_interval(item.speedup)
    assert compared
