"""The typst report is compiled, and its text read back from the PDF."""

import re
import string
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import typst
from hypothesis import given, settings
from hypothesis import strategies as st
from steelyard.reports.typst import typeset

from steelyard import plugins
from steelyard.render.drawing import pictures
from steelyard.render.output import ReportInputs, printed
from steelyard.render.typst import breakable, breakable_literal, escape, literal
from steelyard.tables.build import build
from steelyard.tables.table import Cell, Column, Row, Table
from tests.fakes.runs import Outcome, synthetic_run
from tests.reports.hostile import HOSTILE, REASON, hostile_run

HOSTILE_TYPST = (
    '#read("/etc/passwd")',
    "= no heading",
    "- no list",
    "+ no list",
    "1. no list",
    "/ no: term",
    "// no comment",
    "/* no comment */",
    "https://example.invalid/x",
    "<label> @reference",
    "$x$ ~ -- --- ... -1 -?",
    "\"double\" 'single'",
    "(no call)",
    ".field",
    ";",
    "\\u{41} \\",
    "`raw` ```raw```",
    "] [",
    "two\u2028lines\x85\n\nno paragraph",
)


@pytest.fixture(scope="module")
def inputs() -> ReportInputs:
    crashed = {("openvino", "decode"): Outcome(status="crashed", reason="killed by signal 11")}
    data = build(synthetic_run(effect={"xla": 0.5}, backends=("eager", "xla", "openvino"), statuses=crashed))
    return ReportInputs(data=data, pictures=pictures([plugins.figures()["latency"]], data))


@pytest.fixture
def compiled(require_tool, tmp_path):
    """The words of a file as they stand on the pages, without any space or break between them."""
    tool = require_tool("pdftotext")

    def run(source: Path) -> str:
        pdf, warnings = typst.compile_with_warnings(source, format="pdf", ignore_system_fonts=True)
        assert not warnings, warnings
        (tmp_path / "out.pdf").write_bytes(pdf)
        done = subprocess.run([tool, "-raw", tmp_path / "out.pdf", "-"], capture_output=True, text=True, check=True)
        return folded(done.stdout)

    return run


def folded(text: str) -> str:
    return re.sub(r"[\s\u200b]+", "", text)


def written(inputs: ReportInputs, directory: Path) -> dict[str, bytes]:
    files = plugins.reports()["typst"].write(inputs, directory)
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


@pytest.mark.tools
def test_the_whole_report_compiles_and_says_what_the_tables_say(inputs, compiled, tmp_path):
    files = written(inputs, tmp_path / "a")
    assert written(inputs, tmp_path / "b") == files
    text = compiled(tmp_path / "a/typst/report.typ")
    for _, tables in printed(inputs.data):
        for table in tables:
            assert f"typst/tables/{table.name}.typ" in files
            assert folded(table.title) in text
            assert all(folded(note.text) in text for note in table.footnotes)
    assert all(folded(sentence) in text for sentence in inputs.data.headline)
    assert folded(inputs.pictures[0].caption) in text
    assert files["typst/figures/latency.svg"] == inputs.pictures[0].svg.encode()


def test_what_has_no_rows_is_said_once_in_a_paragraph_of_its_own(tmp_path):
    empty = [
        Table(name=name, title=name, caption="", columns=(), rows=(), empty=f"{name}: not asked for") for name in "ab"
    ]
    data = replace(build(synthetic_run(backends=("eager", "xla"))), tables=tuple(empty))
    files = written(ReportInputs(data=data), tmp_path)
    assert files["typst/tables/a.typ"] == b"#strong[a.] not asked for.\n"
    assert b'#include "tables/a.typ"\n\n#include "tables/b.typ"' in files["typst/report.typ"]


@pytest.mark.tools
def test_one_table_can_be_included_alone_and_leaves_the_paper_as_it_is(inputs, compiled, tmp_path):
    written(inputs, tmp_path)
    paper = tmp_path / "typst/paper.typ"
    paper.write_text(
        '#set text(size: 11pt)\n#include "tables/speed-decode.typ"\nSee @tab-sy-speed-decode.\n'
        "#context assert(text.size == 11pt)\n"
    )
    assert "SeeTable1" in compiled(paper)


@pytest.mark.tools
def test_hostile_names_are_printed_as_text_within_the_margins(compiled, require_tool, tmp_path):
    data = build(hostile_run())
    written(ReportInputs(data=data), tmp_path)
    text = compiled(tmp_path / "typst/report.typ")
    for name in (*HOSTILE, REASON):
        kept = re.sub("[日本語]", lambda match: f"[U+{ord(match[0]):04X}]", name)
        assert folded(kept) in text, name
    boxes = [require_tool("pdftotext"), "-bbox", tmp_path / "out.pdf", "-"]
    right = re.findall(r'xMax="([\d.]+)"', subprocess.run(boxes, capture_output=True, text=True, check=True).stdout)
    a4_width_pt, margin_pt = 595.28, 62.36
    assert max(map(float, right)) <= a4_width_pt - margin_pt + 0.5


CHECK = """\
#let sign = [\\#].func() // what an escaped character is
#let spoken(it) = if it.func() in (text, sign) { it.text } else if it == [ ] { " " } else if it == [] { "" } else {
  assert(it.has("children"), message: "no text: " + repr(it))
  it.children.map(spoken).join()
}
#let same(found, codes) = assert.eq(found, codes.map(str.from-unicode).join(default: ""))
"""
SIGNS = st.sampled_from(string.punctuation * 3 + string.ascii_letters + string.digits + "  \n×µ–é✓λЖ")


def checks(text: str) -> str:
    """Typst code that fails unless each form of a text is that text and nothing else."""
    codes = "".join(f"{ord(character)}, " for character in " ".join(text.split()))
    forms = (f"spoken([{escape(text)}])", f"spoken([{breakable(text)}]).replace(\"\\u{{200b}}\", \"\")", literal(text),
             f"{breakable_literal(text)}.replace(\"\\u{{200b}}\", \"\")")  # fmt: skip
    return "".join(f"#same({form}, ({codes}))\n" for form in forms)


def test_no_text_becomes_markup():
    typst.compile((CHECK + "".join(map(checks, (*HOSTILE_TYPST, string.printable)))).encode(), format="pdf")


def test_the_check_sees_what_is_not_escaped():
    with pytest.raises(typst.TypstError, match="no text"):
        typst.compile((CHECK + "#spoken([*bold*])").encode(), format="pdf")


@settings(max_examples=25)
@given(st.lists(st.text(SIGNS, max_size=40), min_size=1, max_size=20))
def test_no_drawn_text_becomes_markup(texts):
    typst.compile((CHECK + "".join(map(checks, texts))).encode(), format="pdf")


@given(st.text())
def test_whatever_the_text_the_markup_is_one_line_that_utf_8_holds(text):
    for form in (escape, breakable, literal, breakable_literal):
        assert len(form(text).encode().splitlines()) <= 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a-b 1-2 -3", r"a-b 1\-2 \-3"),
        ("1.5 and 1. no list", "1.5 and 1. no list"),
        ("1. no list", r"1\. no list"),
        ("\u202ea\x00中", "[U+202E]a[U+0000][U+4E2D]".replace("[", r"\[").replace("]", r"\]")),
    ],
)
def test_escape_leaves_alone_what_is_safe(text, shown):
    assert escape(text) == shown


def test_only_long_words_get_places_to_break_at():
    assert breakable("0.1.0 eager") == "0.1.0 eager"
    assert breakable("a" * 20) == "a" * 18 + r"\u{200b}" + "aa"


def test_a_winner_is_bold_and_its_numbers_stand_to_the_right():
    columns = (
        Column(key="backend", title="Backend"),
        Column(key="latency_s", title="Latency", kind="number", unit="s", shown="ms"),
    )
    cells = (Cell(text="xla", flags=("best",)), Cell(value=0.2, flags=("best",)))
    text = typeset(Table(name="t", title="T", caption="C", columns=columns, rows=(Row(cells=cells),)))
    assert "[#strong[xla]], [#strong[200]]," in text
    assert "(left, right,).at(x)" in text


def test_a_table_without_rows_says_why():
    assert typeset(Table(name="t", title="T_1", caption="C", columns=(), rows=(), empty="no #meter")) == (
        "#strong[T\\_1.] no \\#meter.\n"
    )
