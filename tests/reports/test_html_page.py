"""The HTML page as text: one file that asks for nothing, escapes everything, and says what it leaves out."""

import html
import http.server
import json
import re
import threading
from dataclasses import replace

import pytest
from steelyard.reports import html as report
from steelyard.reports.html import page, script_text, shared_notes

from steelyard.core.run import LeftOut
from steelyard.render.output import ReportInputs, printed
from steelyard.tables import baselines
from steelyard.tables.build import build
from tests.fakes.runs import llm_points, synthetic_run
from tests.reports.hostile import HOSTILE, REASON, hostile_run
from tests.reports.pages import inputs_of, large, small

TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


@pytest.fixture(scope="module")
def text() -> str:
    return small()


def data_of(text: str) -> dict:
    found = DATA.search(text)
    assert found is not None
    return json.loads(found[1])


def policy_of(text: str) -> dict[str, str]:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert found is not None
    parts = html.unescape(found[1]).split("; ")
    return {name: values for name, _, values in (part.partition(" ") for part in parts)}


def test_no_name_or_reason_turns_the_direction_of_what_stands_behind_it():
    left_out = (LeftOut(backend="b\u202ec", reason="for \u2067a reason"),)
    text = page(inputs_of(synthetic_run(backends=("eager",), rounds=1, left_out=left_out)))
    assert "b[U+202E]c" in text
    assert "for [U+2067]a reason" in text
    assert not TURNING.search(text)


def test_the_policy_allows_this_script_and_this_style_and_nothing_else(text):
    policy = policy_of(text)
    assert policy["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", policy["script-src"])
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", policy["style-src"])
    assert "unsafe" not in " ".join(policy.values())
    assert not re.search(r'\sstyle="', text)


def test_the_page_names_no_address_to_load_from(text):
    assert not re.findall(r"""(?:src|href|action|url)\s*[=(]\s*["']?\s*(?:https?:|//)""", text)
    assert text.count("<script") == 2  # the data and the program
    assert text.count("<style") == 1


def test_the_script_is_small_and_reads_no_data_as_markup():
    script = script_text()
    assert len(script) < 60_000
    assert script.count('"use strict"') == 1
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "fetch("):
        assert forbidden not in script


def test_hostile_text_is_escaped_in_markup_and_in_data():
    text = page(inputs_of(hostile_run()))
    assert text.count("<script") == 2
    assert text.count("</script") == 2
    assert "<img" not in text
    body = DATA.sub("", text).replace("&#34;", '"').replace("&#39;", "'")
    for name in HOSTILE:
        assert html.escape(name, quote=False) in body
        assert name in data_of(text)["texts"]
    assert REASON in data_of(text)["texts"]


def test_without_a_script_too_what_is_said_of_a_value_stands_where_others_have_intervals(text):
    assert re.search(r'<td class="number i\d+">1 <span class="interval">\(baseline\)</span></td>', text)


def test_line_separators_do_not_end_the_data():
    data = build(synthetic_run(backends=("eager", "x\u2028y\u2029z"), rounds=2, points=llm_points(("decode",))))
    found = DATA.search(page(ReportInputs(data=data)))
    assert found is not None
    assert "\u2028" not in found[1]
    assert "\u2029" not in found[1]
    assert "x\u2028y\u2029z" in json.loads(found[1])["texts"]


def test_a_page_holds_every_row_twice_as_data_and_for_readers_without_a_script(text):
    inputs = inputs_of(synthetic_run(backends=("eager", "xla"), rounds=8))
    text = page(inputs)
    tables = {table["name"]: table for table in data_of(text)["tables"]}
    plain = DATA.sub("", text)
    for _, found in printed(inputs.data):
        for table in found:
            assert len(tables[table.name]["rows"]) == len(table.rows)
            if table.rows:
                head = rf'<section class="table[^"]*" id="table-{table.name}">'
                (section,) = re.findall(rf"{head}(.*?)</section>", plain, re.S)
                assert section.count("<tr>") == 1 + len(table.rows)


def test_a_large_page_keeps_its_size_and_says_what_it_leaves_out():
    text = large()
    assert len(text.encode()) < 3e6
    assert len(data_of(text)["tables"][0]["rows"]) == 10_000
    assert "9900 more rows are shown by the script of this page; csv/speed-generate.csv has them all." in text


def test_evidence_beyond_its_room_is_left_out_with_a_word(monkeypatch):
    monkeypatch.setattr(report, "EVIDENCE_ROWS", 4)
    text = page(inputs_of(synthetic_run(backends=("eager", "xla"), rounds=8)))
    tables = {table["name"]: table for table in data_of(text)["tables"]}
    assert len(tables["correctness"]["rows"]) == 4
    assert "4 of 6 rows are in this page; csv/correctness.csv has all." in text


def test_figures_share_the_room_that_the_data_leaves_and_the_smallest_come_first(monkeypatch):
    inputs = inputs_of(synthetic_run(backends=("eager", "xla"), rounds=8), "coverage", "latency")
    sizes = sorted((len(picture.svg), picture.name) for picture in inputs.pictures)
    rest = len(DATA.search(page(inputs))[1])
    monkeypatch.setattr(report, "PAGE_CHARACTERS", rest + sizes[0][0])
    text = page(inputs)
    assert f'<figure id="figure-{sizes[0][1]}">' in text
    assert f'<figure id="figure-{sizes[1][1]}">' not in text
    assert f"left out to keep this page small; figures/{sizes[1][1]}.pdf" in text


def test_a_note_of_many_tables_stands_once(text):
    data = build(synthetic_run(backends=("eager", "xla"), rounds=8))
    tables = [table for _, found in printed(data) for table in found]
    notes = shared_notes(tables)
    assert any(note.startswith("Versions:") for note in data.conditions)
    text = page(ReportInputs(data=data))
    for note in (*notes, *data.conditions):
        assert text.count(f"<p>{html.escape(note, quote=False)}</p>") == 1


def test_the_page_says_why_no_other_baseline_can_be_chosen(monkeypatch):
    two = page(inputs_of(synthetic_run(backends=("eager", "xla"), rounds=8)))
    assert "The baseline is eager; no other can be chosen: with two backends there is one comparison." in two
    run = synthetic_run(
        backends=("eager", "xla", "openvino"), rounds=8, points=llm_points(("decode",)), headline="decode"
    )
    assert "no other can be chosen" not in page(inputs_of(run))
    monkeypatch.setattr(baselines, "MOST_PAIRS", 0)
    many = page(inputs_of(run))
    assert "1 further comparisons are more than a page computes (0)." in many
    assert 'id="baseline"' not in many


def test_a_report_without_cases_has_tables_all_the_same():
    inputs = inputs_of(synthetic_run(backends=("eager", "xla"), rounds=8))
    text = page(replace(inputs, cases=type(inputs.cases)()))
    assert data_of(text)["cases"] == []
    assert 'id="baseline"' not in text
    assert 'id="calls"' not in text


@pytest.mark.tools
def test_the_policy_stops_a_request_that_slipped_in(text, browser, tmp_path):
    asked: list[str] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            """Quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        slipped = (
            f"<img src='{address}/x'><link rel='stylesheet' href='{address}/z'><script>fetch('{address}/y')</script>"
        )
        path = tmp_path / "report.html"
        path.write_text(text.replace("</body>", f"{slipped}</body>"))
        seen = browser.open(path.as_uri())
        seen.settle()
        server.shutdown()
    seen.close()
    assert asked == []
    assert sum("Content Security Policy" in line for line in seen.errors) >= 3
