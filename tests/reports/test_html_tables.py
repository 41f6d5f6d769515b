"""The tables of the HTML page in a real browser: sorted, filtered, searched, held against another baseline, paged."""

import re
from dataclasses import replace

import pytest
from steelyard.reports.html import page as page_of

from steelyard.across.report import build_across
from steelyard.analysis import compare_runs
from steelyard.core.backend import Device
from steelyard.render.output import ReportInputs
from tests.fakes.runs import Outcome, synthetic_run
from tests.reports.pages import FEW, large, milliseconds, small

pytestmark = pytest.mark.tools
DEVICE = Device(kind="cpu", index=0, name="P", memory_bytes=None)
SPEED = "#table-speed-generate"


def column(page, number, table=SPEED) -> list[str]:
    script = f"[...document.querySelectorAll('{table} tbody tr')].map((row) => row.cells[{number}].textContent.trim())"
    return page.value(script)


def columns(page, table) -> list[str]:
    """The headings that are seen."""
    script = f"[...document.querySelectorAll('{table} thead th')].filter((head) => head.checkVisibility())"
    heads = page.value(f"{script}.map((head) => head.textContent)")
    cells = f"[...document.querySelector('{table} tbody tr').cells].filter((cell) => cell.checkVisibility()).length"
    assert page.value(cells) == len(heads)
    return heads


def whole(text, show):
    """A page with all parts open."""
    page = show(text)
    page.value("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    page.settle()
    return page


def heading(page, number, table=SPEED) -> str:
    return page.value(f"document.querySelectorAll('{table} thead th')[{number}].ariaSort")


def head(number, table=SPEED) -> str:
    return f"{table} thead th:nth-child({number + 1}) button"


def test_a_column_sorts_up_then_down_then_as_it_was(show):
    page = show(small())
    before = column(page, 0)
    page.click(head(1))
    assert column(page, 0) == ["onnxruntime", "xla", "inductor", "eager", "openvino"]
    assert heading(page, 1) == "ascending"
    page.click(head(1))
    assert column(page, 0) == ["eager", "inductor", "xla", "onnxruntime", "openvino"]  # no number: last both ways
    assert heading(page, 1) == "descending"
    page.click(head(0))
    assert column(page, 0) == sorted(before)
    assert (heading(page, 0), heading(page, 1)) == ("ascending", "none")
    page.click(head(0))
    page.click(head(0))
    assert column(page, 0) == before
    assert heading(page, 0) == "none"


def test_a_choice_of_backend_and_workload_holds_for_all_tables_and_is_told(show):
    page = whole(small(), show)
    page.choose("select[data-filter=arm]", "xla")
    assert column(page, 0) == ["xla"]
    assert column(page, 1, "#table-coverage") == ["xla"] * 3
    assert page.count("#table-environment tbody tr") > 5  # is about no backend
    found, total = re.fullmatch(r"(\d+) of (\d+) rows", page.value("document.querySelector('#count').value")).groups()
    assert 0 < int(found) < int(total)
    page.choose("select[data-filter=workload]", "decode")
    assert column(page, 0, "#table-speed-generate") == []
    assert page.value(f"document.querySelector('{SPEED} table').checkVisibility()") is False
    assert column(page, 0, "#table-speed-decode") == ["xla"]
    page.click("form.filters button[type=reset]")
    page.settle()
    assert len(column(page, 0)) == 5
    assert page.value("document.querySelector('#count').value") == f"{total} rows"


def test_words_are_searched_in_what_is_printed(show):
    page = whole(small(), show)
    page.value("document.querySelector('[data-filter=text]').focus()")
    page.type("Killed KERNEL")
    assert column(page, 1, "#table-coverage") == ["openvino"]
    assert column(page, 0) == []
    page.choose("[data-filter=text]", "")
    page.choose("select[data-filter=status]", "out_of_memory")
    assert column(page, 0) == ["openvino"]


def test_a_closed_table_says_how_many_rows_are_left_and_shows_them_once_it_is_opened(show):
    page = show(small())
    page.choose("select[data-filter=arm]", "xla")
    assert page.text("#table-proof .size") == "3 of 15 rows"
    page.click("#table-proof summary")
    assert column(page, 1, "#table-proof") == ["xla"] * 3


def test_another_baseline_selects_among_what_was_computed(show):
    page = show(small())
    before = {name: column(page, number) for number, name in ((0, "arm"), (3, "speedup"), (4, "verdict"))}
    page.choose("#baseline", "xla")
    arms, speedups, verdicts = (column(page, number) for number in (0, 3, 4))
    of = dict(zip(arms, zip(speedups, verdicts, strict=True), strict=True))
    assert arms == before["arm"]
    assert of["xla"] == ("1 (baseline)", "baseline")
    assert of["eager"][1] == "slower"  # the run's own comparison from the other side
    assert float(of["eager"][0].split()[0]) == pytest.approx(0.5, rel=0.05)
    assert of["onnxruntime"][1] == "faster"
    assert of["openvino"][1] == "out of memory"
    assert page.text(f"{SPEED} thead th:nth-child(4)").startswith("Speed-up (against xla)")
    family = page.text("#family")
    assert "every verdict is exploratory" in family
    assert "one family of 30 comparisons of its own (Benjamini-Hochberg)" in family
    assert "Against xla instead of eager" in page.text(f"{SPEED} .caption")
    assert page.count(f"{SPEED} strong:not(.switched)") == 0  # bold is the run's
    assert column(page, 0, "#table-tokens") == ["eager", "inductor", "xla", "onnxruntime", "openvino"]
    assert column(page, 2, "#table-tokens")[2] == "1 (baseline)"
    page.click(head(3))
    assert column(page, 0)[0] == "eager"
    page.choose("#baseline", "eager")
    assert dict(zip(column(page, 0), column(page, 3), strict=True)) == dict(
        zip(before["arm"], before["speedup"], strict=True)
    )
    assert page.value(f"document.querySelector('{SPEED} .switched')") is None


def test_an_interval_is_drawn_beside_its_numbers(show):
    page = show(small())
    drawn = page.value(
        f"""[...document.querySelectorAll('{SPEED} tbody tr')].map((row) => {{
        const range = row.querySelector('.whisker .range'), dot = row.querySelector('.whisker circle');
        return range && [range, dot].map((item) => ['x1', 'cx', 'x2'].map((name) => +item.getAttribute(name))); }})"""
    )
    ranges = [(line[0], dot[1], line[2]) for line, dot in filter(None, drawn)]
    assert len(ranges) == 3  # baseline and failure have none
    assert all(0 <= low <= middle <= high <= 100 for low, middle, high in ranges)
    starts = f"[...document.querySelectorAll('{SPEED} .whisker')].map((item) => item.getBoundingClientRect().left)"
    assert len(set(page.value(starts))) == 1  # one scale for all rows


def test_a_report_of_several_runs_sorts_and_filters_rows_and_columns_by_device(show):
    crash = {("xla", "decode"): Outcome(status="crashed", reason="signal 11")}
    sides = [
        [synthetic_run(backends=FEW, device=replace(DEVICE, name=name), seed=seed, statuses=crash if seed else None)]
        for seed, name in enumerate("PQR")
    ]
    found = [compare_runs(sides[0], side, "device") for side in sides[1:]]
    page = whole(page_of(ReportInputs(data=build_across(sides, found))), show)
    table = "#table-across-verdicts"
    count = page.count(f"{table} tbody tr")
    page.choose("select[data-filter=device]", "R")
    assert 0 < page.count(f"{table} tbody tr") < count
    assert columns(page, "#table-across-latency") == ["Workload", "Time", *(f"{arm}, R [ms]" for arm in FEW)]
    assert columns(page, "#table-across-coverage") == ["Workload", *(f"{arm}, R" for arm in (*FEW, "tensorrt"))]
    assert columns(page, "#table-across-budgets") == ["Name", "R", "Sides"]
    page.choose("select[data-filter=arm]", "xla")
    assert columns(page, "#table-across-latency") == ["Workload", "Time", "xla, R [ms]"]
    page.click("form.filters button[type=reset]")
    page.settle()
    assert len(columns(page, "#table-across-latency")) == 2 + 3 * len(FEW)
    assert page.count("#baseline") == 0
    page.click(head(0, table))
    assert heading(page, 0, table) == "ascending"


def test_ten_thousand_cases_are_shown_a_window_at_a_time(show):
    page = show(large())
    assert page.count("tbody tr") < 400
    assert page.value(f"document.querySelector('{SPEED} table').getAttribute('aria-rowcount')") == "10001"
    page.click(head(1))
    order = sorted(range(1, 10_000), key=milliseconds)
    shown = [name for name in column(page, 0) if name.startswith("backend-")]
    assert shown == [f"backend-{number}" for number in order][: len(shown)]
    assert len(column(page, 0)) == 100
    page.click(f"{SPEED} .pages button:nth-of-type(3)")
    assert page.text(f"{SPEED} .pages [role=status]") == "Rows 101 to 200 of 10000"
    assert page.focused() == "Next"
    assert page.value(f"document.querySelector('{SPEED} tbody tr').getAttribute('aria-rowindex')") == "102"
    page.click(f"{SPEED} .pages button:last-of-type")
    assert column(page, 0)[-1] == f"backend-{order[-1]}"
    page.choose("[data-filter=text]", "backend-777")
    found = [f"backend-{number}" for number in order if f"backend-{number}".startswith("backend-777")]
    assert column(page, 0) == found
    page.choose("select[data-filter=arm]", "backend-7771")
    assert column(page, 0) == ["backend-7771"]
    assert page.value(f"document.querySelector('{SPEED} .pages').hidden")
