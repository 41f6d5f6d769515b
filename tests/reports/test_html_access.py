"""Whether everybody can use the HTML page: checked by axe-core, by the keyboard, without a script, and on paper."""

import subprocess
from importlib.resources import files
from itertools import pairwise

import pytest
from steelyard.reports.html import page as page_of

from steelyard.core.backend import Device
from tests.fakes.runs import llm_points, synthetic_run
from tests.reports.pages import every_section, inputs_of, large, small

pytestmark = pytest.mark.tools
AXE = files("axe_core_python").joinpath("axe.min.js").read_text()
RUN = """axe.run(%s, %s).then((found) => found.violations.map(
    (item) => `${item.id}: ${item.nodes.slice(0, 3).map((node) => node.html).join(" | ")}`))"""
WHOLE = '{ exclude: [[".paper"]] }'
ALL = '{ resultTypes: ["violations"] }'
CONTRAST = '{ resultTypes: ["violations"], runOnly: ["color-contrast"] }'
SPEED = "#table-speed-decode"
SPEED_OF_GENERATE = "#table-speed-generate"
SPILLED = "(() => { const box = document.querySelector('%s'); return box.scrollWidth - box.clientWidth; })()"
OPEN = "document.querySelectorAll('details').forEach((part) => { part.open = true; })"


@pytest.mark.parametrize(("dark", "rules"), [(False, ALL), (True, CONTRAST)], ids=["light", "dark"])
def test_axe_finds_nothing(show, dark, rules):
    page = show(every_section(), dark=dark)
    page.value(OPEN)
    page.choose("#baseline", "xla")
    page.value(f"{AXE}; 0")
    assert page.value(RUN % (WHOLE, rules)) == []
    page.click(f"{SPEED} tbody tr:nth-child(4) a")
    assert page.value(RUN % ('"dialog"', rules)) == []


def test_headings_go_down_by_one_and_everything_has_a_name(show):
    page = show(every_section())
    levels = page.value("[...document.querySelectorAll('h1, h2, h3')].map((item) => Number(item.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.count("main") == 1
    ids = page.value("[...document.querySelectorAll('[id]')].map((item) => item.id)")
    assert len(ids) == len(set(ids))
    wrong = page.value(
        """[...document.querySelectorAll("main table")].filter((table) =>
        ["aria-labelledby", "aria-describedby"].some((name) =>
            !document.getElementById(table.getAttribute(name)).textContent.trim())
        || [...table.tHead.rows[0].cells].some((cell) => cell.scope !== "col" || !cell.ariaSort)
        || [...table.tBodies[0].rows].some((row) => row.querySelectorAll("th[scope=row]").length !== 1)).length"""
    )
    assert wrong == 0
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = {
        "button",
        "combobox",
        "form",
        "image",
        "img",
        "link",
        "navigation",
        "region",
        "search",
        "searchbox",
        "table",
    }
    nameless = [
        node["role"]["value"]
        for node in tree
        if not node.get("ignored") and node["role"]["value"] in roles and not node.get("name", {}).get("value")
    ]
    assert nameless == []


def test_the_tab_key_visits_in_the_order_of_reading_and_shows_where_it_is(show):
    page = show(small())
    seen = []
    for _ in range(25):
        page.press("Tab")
        seen.append(
            page.value(
                """(() => { const item = document.activeElement, style = getComputedStyle(item);
                return [item.compareDocumentPosition(document.querySelector("h2")) & 4 ? 0 : 1,
                    item.getBoundingClientRect().top + scrollY, style.outlineStyle !== "none",
                    item.textContent]; })()"""
            )
        )
    assert seen[0][3] == "Skip to the results"
    assert all(visible for _, _, visible, _ in seen)
    assert [after for after, *_ in seen] == sorted(after for after, *_ in seen)
    heights = [top for after, top, *_ in seen if after]
    raised_px = 8  # a footnote's mark stands a little above the line that it belongs to
    assert all(later > earlier - raised_px for earlier, later in pairwise(heights))


def test_the_switch_of_colours_overrules_the_system(show):
    page = show(small(), dark=True)
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.value(ground)
    page.choose("#theme", "light")
    light = page.value(ground)
    assert light == "rgb(255, 255, 255)" != dark
    page.choose("#theme", "dark")
    assert page.value(ground) == dark
    page.choose("#theme", "")
    page.dark(False)
    assert page.value(ground) == light


@pytest.mark.parametrize("width", [390, 1400])
def test_only_tables_scroll_sideways_and_no_row_is_squeezed(show, width):
    page = show(every_section(), width=width)
    page.value(OPEN)
    assert page.value("document.documentElement.scrollWidth") <= width
    heights = page.value("[...document.querySelectorAll('main tr')].map((row) => row.getBoundingClientRect().height)")
    assert max(heights) < 8 * 21  # lines
    page.click(f"{SPEED} tbody tr:nth-child(3) a")
    assert page.value(SPILLED % "dialog") <= 0


def test_in_a_narrow_window_no_number_runs_into_the_next_column(show):
    page = show(small(), width=680)  # just wide enough for drawings beside the numbers
    assert page.count(f"{SPEED_OF_GENERATE} .whisker") == 5
    over = page.value(
        f"""[...document.querySelectorAll("{SPEED_OF_GENERATE} td .interval")].map((item) =>
        item.getBoundingClientRect().right - item.closest("td").getBoundingClientRect().right)"""
    )
    assert max(over) <= 0


def test_names_of_any_length_break_nothing(show):
    name = "x" * 240
    run = synthetic_run(
        backends=("eager", f"module.path:{name}", "xla"),
        points=llm_points(("decode",)),
        headline="decode",
        device=Device(kind="cpu", index=0, name=name, memory_bytes=None),
    )
    page = show(page_of(inputs_of(run)), width=390)
    page.value(OPEN)
    for width in (390, 1400):
        page.size(width, 1000)
        assert page.value(SPILLED % "html") <= 0
        page.value(f"document.querySelector('{SPEED} tbody tr:nth-child(2) a').click()")
        assert page.value("document.querySelector('dialog').open")
        assert page.value(SPILLED % "dialog") <= 0
        page.press("Escape")
    assert page.value(f"document.querySelector('{SPEED} tbody th').getBoundingClientRect().width") < 520


@pytest.mark.parametrize("column", [2, 4], ids=["latency", "speed-up"])
def test_values_of_a_column_stand_one_below_the_other(show, column):
    page = show(small())
    ends = page.value(
        f"[...document.querySelectorAll('#table-speed-generate tbody td:nth-child({column})')].map("
        """(cell) => {
        const range = document.createRange(), walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
        while (!walk.nextNode().data.trim());
        range.setStart(walk.currentNode, 0);
        range.setEnd(walk.currentNode, walk.currentNode.data.trimEnd().length);
        return Math.round(range.getClientRects()[0].right); })"""
    )
    assert len(ends) == 5
    assert max(ends) - min(ends) <= 1


def test_without_a_script_the_tables_are_there(browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(small())
    page = browser.open("about:blank")
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.go(path.as_uri())
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    names = [node.get("name", {}).get("value", "") for node in tree if not node.get("ignored")]
    page.close()
    assert "onnxruntime" in names
    assert any("speed-up" in name.lower() for name in names)
    assert "Show all" not in names  # what needs the script is hidden


def printed_text(page, path, require_tool, order="-layout") -> str:
    page.pdf(path)
    command = [require_tool("pdftotext"), order, str(path), "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_on_paper_everything_is_open_and_no_control_is_left(show, require_tool, tmp_path):
    page = show(small())
    text = printed_text(page, tmp_path / "page.pdf", require_tool)
    for word in ("Speed of generate", "Proof of execution", "Machine and versions", "cpufreq"):
        assert word in text
    assert "Show all" not in text
    assert "↕" not in text
    assert page.count("details[open]") == 0  # as it was before


@pytest.mark.parametrize("made", [small, every_section])
def test_on_paper_a_table_begins_where_its_title_and_caption_stand_and_a_short_one_is_whole(
    made, show, require_tool, tmp_path
):
    page = show(made())
    page.value(OPEN)
    parts = page.value(
        """[...document.querySelectorAll("main .table:has(table)")].map((part) => {
        const rows = part.querySelectorAll("tbody tr th"), bare = (item) => item.textContent.replace(/\\s/g, "");
        return [[...part.querySelectorAll("h3, .size, .caption")].map(bare).join(""),
            bare(rows[rows.length > 12 ? 0 : rows.length - 1]).slice(0, 8)]; })"""
    )
    text = printed_text(page, tmp_path / "page.pdf", require_tool)
    sheets = ["".join(sheet.split()) for sheet in text.split("\f")]
    # What stands behind a title on its sheet: the rest of a table that is split stands on the next one.
    split = [title for title, row in parts if not any(row in sheet.partition(title)[2] for sheet in sheets)]
    assert split == []


def test_an_open_case_is_printed_alone(show, require_tool, tmp_path):
    page = show(small())
    page.click("#table-speed-generate tbody tr:nth-child(3) a")
    text = printed_text(page, tmp_path / "case.pdf", require_tool)
    assert "xla on generate" in text
    assert "Machine and versions" not in text
    assert "Every call, in the order of time" in text


def test_a_long_table_goes_to_paper_with_a_thousand_rows(show):
    page = show(large())
    page.value("dispatchEvent(new Event('beforeprint'))")
    assert page.count("#table-speed-generate tbody tr") == 1000
    assert page.text("#table-speed-generate .pages [role=status]") == "Rows 1 to 1000 of 10000"
    page.value("dispatchEvent(new Event('afterprint'))")
    assert page.count("#table-speed-generate tbody tr") == 100
