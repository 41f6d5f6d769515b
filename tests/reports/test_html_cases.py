"""Cases and calls of the HTML page in a real browser: opened by mouse, keys and address, lit up together."""

import pytest
from steelyard.reports.html import page as page_of

from tests.fakes.runs import synthetic_run
from tests.reports.hostile import HOSTILE, hostile_run
from tests.reports.pages import FEW, inputs_of, small

pytestmark = pytest.mark.tools
SPEED = "#table-speed-generate"


def link(arm) -> str:
    """The link of a backend in the first table, by its place."""
    place = ("eager", "inductor", "xla", "onnxruntime", "openvino").index(arm) + 1
    return f"{SPEED} tbody tr:nth-child({place}) a"


def dialog(page) -> str:
    return page.value("document.querySelector('dialog[open]')?.textContent || ''")


def test_a_click_opens_the_case_with_all_that_is_known(show):
    page = show(small())
    page.click(link("xla"))
    text = dialog(page)
    assert page.focused() == "xla on generate"
    for word in (
        "Speed of generate",
        "Start-up and compilation",
        "Memory by phase",
        "Correctness",
        "Proof of execution",
    ):
        assert word in text
    for word in (
        "tuning",
        "precision",
        "execution mode: weights",
        "compiled with: intra_op_threads",
        "Environment of the run",
    ):
        assert word in text
    assert page.value("location.hash").startswith("#case-")
    page.click("dialog .close")
    assert dialog(page) == ""
    assert page.value("location.hash") == ""
    assert page.focused() == "xla"


def test_the_notes_of_a_case_stand_below_the_numbers_that_they_are_about(show):
    page = show(small())
    page.click(link("xla"))
    marked = page.value(
        """[...document.querySelectorAll("dialog section")].map((part) => ["td sup", ".note sup"].map(
        (fit) => [...new Set([...part.querySelectorAll(fit)].map((item) => item.textContent))].sort().join()))"""
    )
    assert sum(bool(marks) for marks, _ in marked) > 1
    assert all(marks == notes for marks, notes in marked)


def test_a_failure_shows_its_reason_and_the_end_of_its_log(show):
    page = show(small())
    page.click(link("openvino"))
    text = dialog(page)
    assert "out of memory" in text
    assert "killed by the kernel" in text
    assert page.text("dialog pre") == "first line\nlast <line>"
    assert page.value("document.querySelector('dialog svg')") is None  # it has no calls


def test_the_address_names_the_case_and_history_goes_back(show):
    page = show(small())
    identity = page.value(f"document.querySelector('{link('inductor')}').hash")
    page.value(f"location.hash = '{identity}'")
    page.settle()
    assert "inductor on generate" in dialog(page)
    page.click("dialog nav li:nth-child(3) a")
    assert "xla on generate" in dialog(page)
    page.value("history.back()")
    page.settle()
    page.settle()
    assert "inductor on generate" in dialog(page)


def test_a_page_that_is_opened_at_a_case_shows_it(show):
    identity = show(small()).value(f"document.querySelector('{link('xla')}').hash")
    assert "xla on generate" in dialog(show(small(), identity))
    assert dialog(show(small(), "#case-of-another-run")) == ""
    assert dialog(show(small(), "#case-%E0%A4")) == ""  # as a mail program may leave it


def test_a_footnote_inside_a_closed_part_is_opened_by_its_address(show):
    page = show(small(), "#note-coverage-a")
    assert page.value("document.querySelector('#table-coverage details').open")
    assert page.text("#note-coverage-a").startswith("a Log of openvino")


def test_the_whole_way_by_keys(show):
    page = show(small())
    page.value(f"document.querySelector('{link('xla')}').focus()")
    assert page.text(f"{SPEED} tr.lit").startswith("xla")
    page.press("Enter")
    assert "xla on generate" in dialog(page)
    for _ in range(30):  # the focus never leaves the case
        page.press("Tab")
        inside = page.value("!!document.activeElement.closest('dialog') || document.activeElement === document.body")
        assert inside
    page.press("Escape")
    assert dialog(page) == ""
    assert page.focused() == "xla"
    page.value(f"document.querySelector('{SPEED} thead th:nth-child(2) button').focus()")
    page.press("Enter")
    assert page.value(f"document.querySelector('{SPEED} thead th:nth-child(2)').ariaSort") == "ascending"


def test_a_row_and_its_calls_light_up_together_both_ways(show):
    page = show(small())
    page.hover(f"{SPEED} tbody tr:nth-child(3) td")
    assert page.texts("#calls .strip.lit a") == ["xla"]
    x, y = page.center("#calls .strip:nth-of-type(5) .marks circle:nth-of-type(20)")
    page.move(x, y)
    assert page.text(f"{SPEED} tr.lit").startswith("onnxruntime")
    tip = page.value("document.querySelector('#calls .tip').innerText")
    assert tip.startswith("onnxruntime, generate\nround ")
    assert "ms, " in tip
    assert "CPU, float32, 2 threads" in tip
    page.move(1, 1)
    assert page.value("document.querySelector('#calls .tip').hidden")
    assert page.count(".lit") == 0


def test_a_chosen_row_stays_chosen_and_brings_its_workload(show):
    page = show(small())
    page.click("#table-speed-decode tbody tr:nth-child(2) td:nth-child(2)")
    assert page.value("document.querySelector('#calls-point').value") == "decode"
    current = "[...document.querySelectorAll('[aria-current=true]')].map((item) => item.tagName.toLowerCase())"
    assert {"tr", "g"} <= set(page.value(current))
    page.click("#table-speed-decode thead th:nth-child(2) button")
    assert page.text("#table-speed-decode tr[aria-current]").startswith("inductor")


def test_arrow_keys_go_through_the_calls_and_are_told(show):
    page = show(small())
    page.value("document.querySelector('#calls .strip a').focus()")
    page.press("ArrowRight", "ArrowRight")
    told = page.text("#calls-told")
    assert told.startswith("eager, generate; round 1, call 2 of 32: ")
    assert "warm-up" in told
    page.press("End")
    assert "round 8, call 32 of 32" in page.text("#calls-told")
    assert "steady" in page.text("#calls-told")


def test_marks_are_the_calls_that_were_timed(show):
    run = synthetic_run(backends=FEW, rounds=8)
    page = show(page_of(inputs_of(run)))
    assert page.value("document.querySelector('#calls-point').value") == "generate"
    count = page.count("#calls .strip:nth-of-type(2) circle")
    assert count == 8 * 32
    page.click(f"{SPEED} tbody tr:nth-child(2) a")
    medians = page.texts("dialog .of-calls tbody td:nth-child(5)")
    facts = inputs_of(run).data.table("launches")
    column = facts.index("median_s")
    expected = [
        f"{row.cells[column].value * 1e3:.4g}"
        for row in facts.rows
        if (row.tags["arm"], row.tags["workload"], row.tags["metric"]) == ("xla", "generate", "latency_s")
    ]
    assert medians == expected


def test_the_filter_narrows_the_strips(show):
    page = show(small())
    page.choose("select[data-filter=workload]", "prefill")
    assert page.value("document.querySelector('#calls-point').value") == "prefill"
    page.choose("select[data-filter=arm]", "xla")
    assert page.count("#calls .strip") == 1
    page.choose("select[data-filter=workload]", "generate")
    page.choose("select[data-filter=arm]", "openvino")
    assert page.text("#calls-figure") == "No call of it was timed here."


def test_hostile_names_stay_text(show):
    page = show(page_of(inputs_of(hostile_run())))
    assert page.count("img") == 0
    names = page.texts("#table-speed-decode tbody th")
    assert set(HOSTILE) <= set(names)
    page.click("#table-speed-decode tbody tr:nth-child(2) a")
    assert HOSTILE[0] in dialog(page)
