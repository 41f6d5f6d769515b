"""docs/paper.md: its documents are compiled as they are printed there, and what it says of names and widths is so."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard import plugins
from steelyard.render.drawing import picture
from steelyard.render.output import ReportInputs
from steelyard.render.venue import VENUES, look_of, room_of
from steelyard.tables.build import build
from tests.fakes.runs import llm_points, synthetic_run
from tests.reports.test_latex_compiles import without_warnings

PAGE = (Path(__file__).parents[2] / "docs/paper.md").read_text()
DOCUMENTS = dict(zip(("paper", "appendix"), re.findall(r"^```tex\n(.*?)^```", PAGE, re.M | re.S), strict=True))
VENUE = {"paper": "icml", "appendix": ""}
"""With which `--venue` the page says that each is made."""


@pytest.fixture(scope="module")
def data():
    run = synthetic_run(
        backends=("eager", "inductor", "xla", "onnxruntime"),
        points=llm_points(("decode", "generate")),
        headline="decode",
        effect={"xla": 0.5, "onnxruntime": 0.5},
    )
    return build(replace(run, digest="0123456789abcdef" * 4))


@pytest.mark.tools
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_of_the_page_compiles_as_it_stands(compile_, data, tmp_path, name):
    drawn = (picture(plugins.figures()["speedup"], data, look_of(VENUE[name])),)
    inputs = ReportInputs(data=data, pictures=drawn, room=room_of(VENUE[name]))
    plugins.reports()["latex"].write(inputs, tmp_path / "bench")
    (tmp_path / f"{name}.tex").write_text(DOCUMENTS[name])
    log, text, fonts = compile_(tmp_path, name)
    without_warnings(log, fonts)
    said = {macro.name: macro.text for macro in data.macros}
    words = re.sub(r"\s+", " ", text)
    assert {"paper": f"XLA decodes {said['SyXlaDecodeSpeedup']} times", "appendix": said["SyRunDigest"]}[name] in words


def test_the_venues_of_the_page_are_those_that_there_are():
    assert f"--venue {VENUE['paper']} " in PAGE
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.M)
    assert rows == [(name, f"{v.look.column_in:.4g}", f"{v.look.full_in:.4g}") for name, v in VENUES.items()]


def test_the_names_of_the_page_are_those_that_there_are(data):
    names = {macro.name for macro in data.macros}
    assert set(re.findall(r"\\(Sy(?:Xla|Run|Device|Baseline|Launches)\w*)", PAGE)) <= names
    far = synthetic_run(
        backends=("eager", "onnxruntime[opset=23]"), points=llm_points(("decode",), batches=(1, 8)), headline="decode"
    )
    (stem,) = re.findall(r"\\(Sy\w+)\.\.\.`\. What", PAGE)
    assert f"{stem}Speedup" in {macro.name for macro in build(far).macros}
    alike = synthetic_run(backends=("eager", "a-b", "a_b"), points=llm_points(("decode",)), headline="decode")
    (name,) = re.findall(r"\\(SyAB\w+)", PAGE)
    assert name in {macro.name for macro in build(alike).macros}
