"""The HTML page in a real browser: content, sorting, filtering, no request, no error."""

import html
import http.server
import json
import re
import subprocess
import threading

import pytest
from steelyard.reports.html import page

from steelyard import plugins
from steelyard.tables.build import build
from steelyard.tables.drawing import pictures
from steelyard.tables.output import ReportInputs
from tests.fakes.runs import Outcome, synthetic_run
from tests.reports.hostile import HOSTILE, hostile_run

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-extensions"),
    *("--enable-logging=stderr", "--log-level=0", "--virtual-time-budget=4000", "--dump-dom"),
)

DRIVER = """
<script>
// Drives the page as a user would, and leaves what it saw where --dump-dom finds it.
addEventListener("load", () => {
  const seen = {};
  const table = document.querySelector("#table-speed-generate table");
  const column = (index) => [...table.tBodies[0].rows].map((row) => row.cells[index].textContent.trim());
  const button = table.tHead.rows[0].cells[1].querySelector("button");
  button.click();
  seen.ascending = column(0);
  seen.sorted = table.tHead.rows[0].cells[1].getAttribute("aria-sort");
  button.click();
  seen.descending = column(0);
  const select = document.querySelector("select[data-filter=arm]");
  select.value = "xla";
  select.dispatchEvent(new Event("input", { bubbles: true }));
  seen.filtered = [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[0].textContent.trim());
  seen.environment = [...document.querySelectorAll("#table-environment tbody tr")].some((row) => !row.hidden);
  seen.count = document.querySelector("output").textContent;
  seen.unlabelled = [...document.querySelectorAll("select, input")].filter((item) => !item.labels.length).length;
  seen.images = [...document.querySelectorAll("[role=img]")].filter((item) => !item.ariaLabel).length;
  const ids = [...document.querySelectorAll("[id]")].map((item) => item.id);
  seen.duplicates = ids.filter((id, at) => ids.indexOf(id) !== at);
  const pre = document.createElement("pre");
  pre.id = "seen";
  pre.textContent = JSON.stringify(seen);
  document.body.append(pre);
});
</script>
"""


@pytest.fixture
def browse(require_tool, tmp_path):
    chromium = require_tool("chromium")

    def open_(path):
        command = [chromium, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return open_


def inputs(run) -> ReportInputs:
    data = build(run)
    return ReportInputs(
        data=data, pictures=pictures([plugins.figures()[name] for name in ("coverage", "latency")], data)
    )


@pytest.fixture(scope="module")
def text() -> str:
    statuses = {("openvino", "generate"): Outcome(status="out_of_memory", reason="killed by the kernel")}
    return page(inputs(synthetic_run(effect={"xla": 0.5, "onnxruntime": 0.4}, statuses=statuses)))


def test_the_page_asks_for_nothing(text):
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert html.unescape(policy[1]).startswith("default-src 'none';")
    assert "script-src 'sha256-" in html.unescape(policy[1])
    addresses = set(re.findall(r"""(?:src|href|action|url)\s*[=(]\s*["']?\s*(https?:|//)""", text))
    assert not addresses
    assert text.count("<script") == 1


def test_hostile_text_is_escaped():
    text = page(inputs(hostile_run()))
    assert text.count("<script") == 1
    assert "<img" not in text
    for name in HOSTILE:
        assert html.escape(name, quote=False) in text.replace("&#34;", '"').replace("&#39;", "'")


@pytest.mark.tools
def test_in_the_browser(text, browse, tmp_path):
    # The driver is not the page's own script: for this test alone the policy lets it run.
    driven = re.sub("script-src &#39;sha256-[^&]*&#39;", "script-src &#39;unsafe-inline&#39;", text)
    assert driven != text
    driven = driven.replace("</body>", f"{DRIVER}</body>")
    path = tmp_path / "report.html"
    path.write_text(driven)
    dom, errors = browse(path)
    assert not errors
    found = re.search(r'<pre id="seen">(.*?)</pre>', dom, flags=re.S)
    assert found is not None
    seen = json.loads(html.unescape(found[1]))
    assert seen["ascending"] == ["onnxruntime", "xla", "inductor", "eager", "openvino"]
    assert seen["sorted"] == "ascending"
    assert seen["descending"] == ["eager", "inductor", "xla", "onnxruntime", "openvino"]  # no number: last both ways
    assert seen["filtered"] == ["xla"]
    assert seen["environment"]
    assert re.fullmatch(r"\d+ of \d+ rows", seen["count"])
    assert seen["unlabelled"] == seen["images"] == 0
    assert seen["duplicates"] == []


@pytest.mark.tools
def test_the_page_itself_runs_under_its_own_policy(text, browse, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(text)
    dom, errors = browse(path)
    assert not errors
    assert 'data-ready="yes"' in dom
    assert "killed by the kernel" in dom
    assert dom.count("<svg") == 2
    assert "speed-up" in dom


@pytest.mark.tools
def test_the_policy_stops_a_request_that_slipped_in(text, browse, tmp_path):
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
        path = tmp_path / "report.html"
        path.write_text(text.replace("</body>", f"<img src='{address}/x'><script>fetch('{address}/y')</script></body>"))
        _, errors = browse(path)
        server.shutdown()
    assert asked == []
    assert any("Content Security Policy" in line for line in errors)
