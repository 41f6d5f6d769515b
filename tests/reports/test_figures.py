"""Figures: drawn from tables, the same bytes twice, embedded fonts, a reason where there is nothing to draw."""

import csv
import io
import subprocess
import xml.etree.ElementTree as ET

import pytest

from steelyard import plugins
from steelyard.tables.build import build
from steelyard.tables.drawing import inline_svg, picture, pictures
from steelyard.tables.output import ReportInputs
from steelyard.tables.style import arm_styles, short
from tests.fakes.runs import Outcome, llm_points, synthetic_run
from tests.reports.hostile import hostile_run

NAMES = ("compilation", "coverage", "latency", "memory", "noise", "speedup", "throughput")


def one_workload(**options):
    return build(synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode", **options))


@pytest.fixture(scope="module")
def drawn():
    data = build(synthetic_run(effect={"xla": 0.5, "onnxruntime": 0.01}, backends=("eager", "xla", "onnxruntime")))
    return data, {item.name: item for item in pictures(plugins.figures().values(), data)}


def test_every_figure_is_found_and_drawn(drawn):
    _, found = drawn
    assert tuple(sorted(found)) == NAMES
    for item in found.values():
        assert item.pdf.startswith(b"%PDF")
        assert item.png.startswith(b"\x89PNG")
        assert ET.fromstring(item.svg).tag.endswith("svg")
        assert item.caption.endswith(".")
        assert item.alternative


def test_figures_are_the_same_bytes_when_drawn_again(drawn):
    data, found = drawn
    for name in ("latency", "compilation"):
        assert picture(plugins.figures()[name], data) == found[name]


def test_the_figures_csv_holds_the_numbers_of_the_table(drawn):
    data, found = drawn
    rows = list(csv.DictReader(io.StringIO(found["latency"].csv)))
    table = data.table("speed-decode")
    told = {r["backend"]: float(r["latency_ms"]) for r in rows if r["point"] == "decode"}
    for row in table.rows:
        assert told[row.tags["arm"]] == pytest.approx(1e3 * table.cell(row, "latency_s").value)


@pytest.mark.tools
def test_no_type_3_fonts(drawn, require_tool, tmp_path):
    fonts = require_tool("pdffonts")
    for name, item in drawn[1].items():
        path = tmp_path / f"{name}.pdf"
        path.write_bytes(item.pdf)
        told = subprocess.run([fonts, path], capture_output=True, text=True, check=True).stdout
        assert "TrueType" in told
        assert "Type 3" not in told


def test_figures_name_what_failed():
    data = one_workload(statuses={("xla", "decode"): Outcome(status="crashed", reason="signal 11")})
    latency = picture(plugins.figures()["latency"], data)
    assert [row["without_value"] for row in csv.DictReader(io.StringIO(latency.csv))] == ["", "crashed"]
    coverage = picture(plugins.figures()["coverage"], data)
    assert "xla on decode: crashed" in coverage.alternative


def test_a_figure_without_data_says_why():
    failed = Outcome(status="failed", stage="load", reason="no memory")
    data = one_workload(statuses={(arm, "decode"): failed for arm in ("eager", "xla", "eager (control)")})
    reasons = {item.name: item.reason for item in pictures(plugins.figures().values(), data)}
    assert reasons.pop("coverage") == ""
    assert all(reasons.values()), reasons


def test_figures_are_drawn_without_a_control_arm():
    noise = picture(plugins.figures()["noise"], one_workload(control=False))
    assert "no control arm" in noise.caption


def test_hostile_names_are_drawn_as_text():
    item = picture(plugins.figures()["latency"], build(hostile_run()))
    root = ET.fromstring(item.svg)
    assert not [node for node in root.iter() if node.tag.endswith(("script", "image", "}a"))]


def test_inline_svg_has_ids_of_its_own_and_no_foreign_address(drawn):
    text = inline_svg(drawn[1]["latency"].svg, "latency")
    root = ET.fromstring(text)
    ids = [node.get("id") for node in root.iter() if node.get("id")]
    assert ids
    assert all(name.startswith("latency-") for name in ids)
    targets = [value for node in root.iter() for key, value in node.attrib.items() if key.endswith("href")]
    assert all(target.removeprefix("#") in ids for target in targets)
    assert "<metadata" not in text


def test_styles_tell_backends_apart_without_colour():
    arms = [f"backend {number}" for number in range(14)]
    styles = arm_styles(arms, "backend 0")
    seen = {(style.colour, style.marker, str(style.line)) for style in styles.values()}
    assert len(seen) == 14
    first = [styles[arm] for arm in arms[1:8]]
    assert len({style.marker for style in first}) == len({style.hatch for style in first}) == 7


def test_short_keeps_both_ends():
    assert short("onnxruntime") == "onnxruntime"
    assert short("my_package.my_module:Backend", 18) == "my_package.m…ckend"
    assert len(short("x" * 99, 18)) == 18


def test_the_report_figures_writes_five_files_each(drawn, tmp_path):
    data, found = drawn
    inputs = ReportInputs(data=data, pictures=tuple(found.values()), figures_beside=True)
    files = plugins.reports()["figures"].write(inputs, tmp_path)
    assert {path.name for path in files} == {
        f"{n}.{kind}" for n in NAMES for kind in ("pdf", "svg", "png", "csv", "tex")
    }
    assert all(path.read_text().isascii() for path in files if path.suffix == ".tex")
