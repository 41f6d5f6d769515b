"""Tables of the HTML page on paper: what is too wide lies across the sheet, and in smaller type if it must."""

import re
import subprocess
from dataclasses import replace

import pytest
from steelyard.reports.html import SMALLEST, paper
from steelyard.reports.html import page as page_of

from steelyard.across.report import build_across
from steelyard.analysis import compare_runs
from steelyard.core.backend import Device
from steelyard.render.output import ReportInputs
from steelyard.tables.table import Column
from tests.fakes.runs import BACKENDS, llm_points, synthetic_run

NUMBER = Column(key="n", title="eager, Big Board 9", kind="number", unit="s", shown="ms")
TEXT = Column(key="t", title="Workload", wide=True)
DEVICE = Device(kind="cpu", index=0, name="", memory_bytes=None)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [(3, ""), (5, ""), (6, " wide"), (10, " wide"), (20, " wide f5"), (100, f" wide f{SMALLEST}")],
)
def test_what_is_too_wide_lies_across_and_is_smaller(numbers, expected):
    assert paper([TEXT, *[NUMBER] * numbers], [(20, 0), *[(5, 14)] * numbers]) == expected


def test_a_long_text_is_broken_and_takes_no_more_room():
    assert paper([TEXT, NUMBER], [(5000, 0), (5, 14)]) == ""


@pytest.mark.tools
def test_no_column_is_cut_off_and_headings_stand_on_every_sheet(show, require_tool, tmp_path):
    points = llm_points(batches=(1, 8))
    sides = [
        [synthetic_run(rounds=2, points=points, device=replace(DEVICE, name=name), seed=seed)]
        for seed, name in enumerate("PQ")
    ]
    data = build_across(sides, [compare_runs(sides[0], side, "device") for side in sides[1:]])
    show(page_of(ReportInputs(data=data))).pdf(tmp_path / "page.pdf")
    command = [require_tool("pdftotext"), "-layout", tmp_path / "page.pdf", "-"]
    sheets = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\f")
    verdicts = [sheet for sheet in sheets if re.search(r"latency .* across runs$", sheet, re.M)]
    assert len(verdicts) > 1
    assert all("Effect of the run [%]" in sheet for sheet in verdicts)
    # A row of the table of latencies is whole: every number of it, each before the mark of its note.
    lines = [line for sheet in sheets for line in sheet.splitlines() if re.match(r"decode batch=8 +latency +\d", line)]
    assert [len(re.findall(r" [\d.]+ a\b", line)) for line in lines] == [len(BACKENDS) * len(sides)]
