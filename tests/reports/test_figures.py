"""Figures: drawn from tables, the same bytes twice, embedded fonts, a reason where there is nothing to draw."""

import csv
import gc
import io
import math
import re
import subprocess
import weakref
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.render import drawing
from steelyard.render.charts import log_ticks
from steelyard.render.drawing import Drawing, inline_svg, new_figure, picture, pictures
from steelyard.render.labels import BELOW_FIRST, RIGHT_FIRST, apart, places
from steelyard.render.output import ReportInputs
from steelyard.render.style import arm_styles, short, shorts
from steelyard.render.venue import VENUES, look_of
from steelyard.tables.build import build
from steelyard.tables.calls import MARKS, thin
from tests.fakes.ceilings import held_against, synthetic_ceilings
from tests.fakes.metered import metered_run
from tests.fakes.quantized import quantized
from tests.fakes.runs import Outcome, Shape, llm_points, synthetic_run, with_clock
from tests.fakes.streamed import streamed_points
from tests.reports.hostile import hostile_run

NAMES = (
    "break_even",
    "compilation",
    "coverage",
    "ecdf",
    "energy",
    "fast_p",
    "ladder",
    "latency",
    "memory",
    "noise",
    "pareto",
    "performance_profile",
    "power",
    "roofline",
    "scaling",
    "speedup",
    "throughput",
    "time_order",
    "tolerance_scores",
)


QUANTIZED = "onnxruntime[int8]"


def one_workload(**options):
    return build(synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode", **options))


@pytest.fixture(scope="module")
def drawn():
    points = (*llm_points(batches=(1, 2, 4)), *streamed_points(batches=(8, 16)))
    run = synthetic_run(
        effect={"xla": 0.5, "onnxruntime": 0.01, QUANTIZED: 0.4},
        backends=("eager", "xla", "onnxruntime", QUANTIZED),
        points=points,
        ladder=("eager", "xla", "onnxruntime"),
    )
    data = build(held_against(metered_run(quantized(run)), synthetic_ceilings()))
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


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_the_same_bytes_when_drawn_again(drawn, name):
    data, found = drawn
    assert picture(plugins.figures()[name], data) == found[name]


def test_without_files_a_figure_has_the_same_numbers_and_words(drawn):
    data, found = drawn
    for item in pictures(plugins.figures().values(), data, saved=False):
        whole = found[item.name]
        assert (item.csv, item.caption, item.width_in) == (whole.csv, whole.caption, whole.width_in)
        assert not item.pdf
        assert not item.png


def test_the_figures_csv_holds_the_numbers_of_the_table(drawn):
    data, found = drawn
    rows = list(csv.DictReader(io.StringIO(found["latency"].csv)))
    table = data.table("speed-decode")
    told = {(r["point"], r["backend"]): float(r["latency_ms"]) for r in rows}
    for row in table.rows:
        assert told[row.tags["point"], row.tags["arm"]] == pytest.approx(1e3 * table.cell(row, "latency_s").value)


@pytest.mark.parametrize("name", NAMES)
def test_a_caption_says_device_sample_size_and_versions(drawn, name):
    data, found = drawn
    caption = found[name].caption
    assert data.device in caption
    assert "Kernel 6.12.0; eager: torch 2.13.0" in caption
    assert "n = " in caption or name == "coverage"


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
    assert "Reasons: 1 signal 11; 2 no CUDA device." in coverage.caption
    rows = list(csv.DictReader(io.StringIO(coverage.csv)))
    assert [(row["backend"], row["status"], row["reason"]) for row in rows if row["backend"] != "eager"] == [
        ("xla", "crashed", "signal 11"), ("tensorrt", "unsupported", "no CUDA device")]  # fmt: skip


def test_a_figure_without_data_says_why():
    failed = Outcome(status="failed", stage="load", reason="no memory")
    data = one_workload(statuses={(arm, "decode"): failed for arm in ("eager", "xla", "eager (control)")})
    reasons = {item.name: item.reason for item in pictures(plugins.figures().values(), data)}
    assert reasons.pop("coverage") == ""
    assert all(reasons.values()), reasons


def test_figures_are_drawn_without_a_control_arm():
    noise = picture(plugins.figures()["noise"], one_workload(control=False))
    assert "no control arm" in noise.caption


def test_the_clock_is_drawn_where_it_was_read():
    run = synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode")
    read = picture(plugins.figures()["noise"], build(with_clock(run, lambda launch: 10.0 - launch.round)))
    assert "The line: the time of the spin meter's loop" in read.caption
    rows = [row for row in csv.DictReader(io.StringIO(read.csv)) if row["backend"] == "clock"]
    slowest = max(rows, key=lambda row: float(row["median_over_middle"]))
    assert slowest["round"] == "8", "where the loop took longest"
    assert "The line" not in picture(plugins.figures()["noise"], build(run)).caption


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


@pytest.mark.parametrize("venue", ["neurips", "ieee", "slides"])
def test_a_venue_sets_width_height_and_typeface(drawn, venue, tmp_path):
    data, _ = drawn
    look = look_of(venue)
    item = picture(plugins.figures()["latency"], data, look)
    assert item.width_in == pytest.approx(look.column_in)
    box = ET.fromstring(item.svg).get("viewBox").split()
    assert float(box[2]) / 72 == pytest.approx(look.column_in, abs=0.01)
    assert float(box[3]) / 72 <= look.height_in + 0.01
    assert (b"STIX" in item.pdf) == (look.font == "STIXGeneral")


@pytest.mark.parametrize("venue", ["", "icml", "slides"])
def test_roofs_are_named_within_the_axes_which_reach_to_the_top_of_the_page(venue):
    run = held_against(metered_run(synthetic_run()), synthetic_ceilings(peak={"float32": 2e12}))
    look = look_of(venue)
    with mpl.rc_context(look.settings):
        figure = plugins.figures()["roofline"].draw(build(run), look).figure
        figure.canvas.draw()
        (axis,) = figure.axes
        names = [text.get_window_extent() for text in axis.texts if text.get_text().endswith("GB/s")]
        assert names
        assert all(name.x0 >= axis.get_window_extent().x0 for name in names)
        assert figure.bbox.y1 - axis.get_window_extent().y1 < 0.2 * figure.dpi


def test_every_venue_says_where_its_width_comes_from():
    assert set(VENUES) == {"icml", "neurips", "mlsys", "acm", "ieee", "usenix", "thesis", "slides"}
    for venue in VENUES.values():
        assert venue.source
        assert venue.look.column_in <= venue.look.full_in
    with pytest.raises(UsageError, match="did you mean 'neurips'"):
        look_of("neurps")


def test_the_profile_counts_a_failed_point_as_never_reached():
    points = llm_points(("prefill", "decode"), batches=(1, 2, 3, 4))
    crashed = Outcome(status="crashed", reason="signal 11")
    run = synthetic_run(backends=("eager", "xla"), points=points, headline="decode", effect={"xla": 0.5},
                        rounds=3, statuses={("xla", "prefill"): crashed})  # fmt: skip
    item = picture(plugins.figures()["performance_profile"], build(run))
    rows = list(csv.DictReader(io.StringIO(item.csv)))
    reached = {(row["backend"], row["point"].split()[0]): row["share_of_points"] for row in rows}  # the last of each
    assert reached == {("eager", "prefill"): "0.5", ("eager", "decode"): "1.0",
                       ("xla", "decode"): "0.5", ("xla", "prefill"): ""}  # fmt: skip
    assert "Configurations not completed: xla 4" in item.caption


@pytest.mark.parametrize(("batches", "drawn"), [(7, False), (8, True)])
def test_a_profile_over_few_points_is_not_drawn_and_says_from_how_many_on_it_is(batches, drawn):
    points = llm_points(("decode",), batches=range(1, batches + 1))
    run = synthetic_run(backends=("eager", "xla"), rounds=3, points=points, headline="decode", shape=Shape(calls=40))
    item = picture(plugins.figures()["performance_profile"], build(run), saved=False)
    reason = f"means nothing below 8 with a time; this run has {batches}"
    assert item.reason.endswith(reason) != drawn
    assert bool(item.csv) == drawn


@pytest.fixture(scope="module")
def saved(drawn):
    """Each figure as it is saved: over a run with a backend 100 times faster than the others, and over one with a
    backend that is so at one workload point alone."""
    found = {}
    shape = Shape(calls=40)
    uneven = build(synthetic_run(effect={"xla": 0.9, "xla|decode": 0.03}, backends=("eager", "xla"), shape=shape))
    with pytest.MonkeyPatch.context() as patch:
        for name, data in (("far", drawn[0]), ("uneven", uneven)):
            for figure in plugins.figures().values():
                kept = []
                patch.setattr(drawing, "_files", lambda made, kept=kept: (kept.append(made), (b"", b"", b""))[1])
                picture(figure, data)
                if kept:
                    found[name, figure.name] = kept[0]
    return found


def test_every_log_axis_says_so_and_panels_that_share_a_label_share_its_scale(saved):
    logarithmic = set()
    for (run, name), figure in saved.items():
        for side in ("x", "y"):
            below = getattr(figure, f"get_sup{side}label")() or getattr(figure.axes[-1], f"get_{side}label")()
            shared = {}
            for panel in figure.axes:
                label = getattr(panel, f"get_{side}label")() or below
                shared.setdefault(label, set()).add(getattr(panel, f"get_{side}scale")())
            for label, scales in shared.items():
                assert len(scales) == 1, (run, name, label, scales)
                assert label.endswith("log scale") == (scales == {"log"}), (run, name, label)
                logarithmic |= {name} if scales == {"log"} else set()
    assert logarithmic == {
        *("break_even", "ecdf", "energy", "fast_p", "latency", "performance_profile", "roofline", "scaling", "speedup"),
        *("pareto", "tolerance_scores"),
    }


def test_the_bars_of_a_start_fill_their_panel_whatever_cold_compiling_took():
    data = build(synthetic_run(points=llm_points(("decode",)), headline="decode"))
    warm = plugins.figures()["compilation"].draw(data, look_of("")).figure.axes[0]
    ends = [bar.get_x() + bar.get_width() for bar in warm.patches]
    assert max(ends) > 10
    assert warm.get_xlim()[1] <= 1.5 * max(ends)


@given(st.floats(-3, 6), st.floats(0.02, 9))
def test_a_log_axis_has_ticks_that_do_not_touch(low, decades):
    low, high = 10.0**low, 10.0 ** (low + decades)
    ticks = log_ticks(low, high)
    assert len(ticks) >= 2
    assert all(low <= tick <= high for tick in ticks)
    if high / low >= 2:
        assert all(math.log(right / left) >= 0.149 * math.log(high / low) for left, right in pairwise(ticks))


def test_break_even_crosses_where_the_table_says():
    data = one_workload(effect={"xla": 0.5})
    table = data.table("amortised")
    rows = [row for row in table.rows if row.tags["arm"] == "xla"]
    crossing = table.cell(rows[0], "break_even").value
    before = [table.cell(row, "over_baseline").value for row in rows if table.cell(row, "calls").value < crossing]
    after = [table.cell(row, "over_baseline").value for row in rows if table.cell(row, "calls").value > crossing]
    assert min(before) > 1 > max(after)


def test_scaling_has_a_line_for_each_backend_over_the_batch(drawn):
    rows = list(csv.DictReader(io.StringIO(drawn[1]["scaling"].csv)))
    assert {row["axis"] for row in rows} == {"batch"}
    assert {row["value"] for row in rows} == {"1.0", "2.0", "4.0", "8.0", "16.0"}
    assert {row["backend"] for row in rows} == {"eager", "xla", "onnxruntime", QUANTIZED}


def test_a_long_sweep_has_marks_where_their_ticks_have_room_and_says_so():
    points = llm_points(("decode",), batches=range(1, 41))
    run = synthetic_run(backends=("eager", "xla"), rounds=3, points=points, headline="decode", shape=Shape(calls=40))
    item = picture(plugins.figures()["scaling"], build(run))
    marked, values = map(int, re.search(r"Of (\d+) values of batch, (\d+) have a mark", item.caption).group(2, 1))
    assert 2 < marked < values == 40
    ticks = [text for text in re.findall(r"<!-- ([^ ]+) -->", item.svg) if text.isdigit() and int(text) <= 40]
    assert {"1", "40"} <= set(ticks)
    assert len([row for row in csv.DictReader(io.StringIO(item.csv)) if row["backend"] == "xla"]) == values


def test_coverage_of_more_points_than_a_page_holds_joins_those_that_ended_alike():
    points = llm_points(("decode",), batches=range(1, 61))
    run = synthetic_run(backends=("eager", "xla"), rounds=2, points=points, headline="decode", shape=Shape(calls=40))
    large = {case.id for case in run.manifest.cases if case.point.axes["batch"] > 57}
    results = [
        replace(result, status="crashed") if result.arm == "xla" and result.case_id in large else result
        for result in run.results
    ]
    run = replace(run, results=tuple(results), manifest=replace(run.manifest, left_out=()))
    item = picture(plugins.figures()["coverage"], build(run))
    assert item.alternative == "Matrix of statuses: xla on decode, 3 configurations: crashed (all others ok)."
    assert "Configurations of a workload that ended alike share a row." in item.caption
    assert "are drawn" not in item.caption
    assert len(list(csv.DictReader(io.StringIO(item.csv)))) == 120
    height = float(ET.fromstring(item.svg).get("viewBox").split()[3]) / 72
    assert height < 1.5


@pytest.mark.parametrize("rows", [3, 39], ids=["few rows", "a full page"])
def test_coverage_shows_the_whole_device_and_how_each_reason_begins(rows):
    points = llm_points(("decode",), batches=range(1, rows + 1))
    run = synthetic_run(backends=("eager", "xla"), rounds=2, points=points, headline="decode", shape=Shape(calls=40))
    reason = "decode as onnx: DispatchError: No ONNX function found for an operator with a long name"
    results = [
        replace(result, status="unsupported", reason=f"{reason}, {result.case_id}") if result.arm == "xla" else result
        for result in run.results
    ]
    device = replace(run.manifest.device, name="Intel(R) Xeon(R) Platinum 8581C Processor with a long name")
    run = replace(run, results=tuple(results), manifest=replace(run.manifest, device=device, left_out=()))
    look = look_of("")
    with mpl.rc_context(look.settings):
        figure = plugins.figures()["coverage"].draw(build(run), look).figure
        figure.canvas.draw()
        head, foot = figure._suptitle, figure._supxlabel
        for text in (head, foot):
            box = text.get_window_extent()
            assert box.x0 >= 0
            assert box.x1 <= figure.bbox.x1
            assert box.y0 >= 0
            assert box.y1 <= figure.bbox.y1
    assert device.name in head.get_text().replace("\n", " ")
    assert "1 decode as onnx: Dispatch" in " ".join(foot.get_text().split())
    # Three reasons in two lines each, or six in one where two would cost rows.
    assert len(foot.get_text().splitlines()) == 7


def test_what_a_figure_leaves_is_freed_before_the_next_is_drawn():
    left: list[weakref.ref] = []

    class Kept:
        title = "kept"

        def __init__(self, name: str) -> None:
            self.name = name

        def draw(self, data, look):
            assert not [ref for ref in left if ref() is not None]
            figure = new_figure(1, 1)
            figure.subplots()
            left.append(weakref.ref(figure))
            return Drawing(figure=figure)

    assert len(pictures([Kept("a"), Kept("b")], one_workload(), processes=1)) == len(left) == 2
    assert gc.isenabled()


def test_time_order_is_thinned_and_says_so():
    shape = Shape(calls=1000)
    data = one_workload(shape=shape)
    timeline = data.samples.timeline
    assert timeline.kept <= MARKS < timeline.total
    item = picture(plugins.figures()["time_order"], data)
    assert f"{timeline.kept} of {timeline.total} calls are drawn" in item.caption
    longest = max(launch.values_s.max() for launch in timeline.launches)
    assert repr(float(longest)) in item.csv


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=300), st.integers(2, 50))
def test_thinning_keeps_order_and_extremes(values, room):
    values = np.array(values)
    kept = thin(values, room)
    assert kept.size <= max(room, 2)
    assert list(kept) == sorted(set(kept.tolist()))
    assert values[kept].min() == values.min()
    assert values[kept].max() == values.max()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20).map(sorted), st.floats(0.001, 0.04))
def test_labels_keep_their_distance_and_their_order(heights, least):
    placed = apart(heights, least)
    assert all(right - left >= least - 1e-9 for left, right in pairwise(placed))
    assert placed[0] >= -1e-9
    assert placed[-1] <= 1 + 1e-9


@st.composite
def marks_and_labels(draw):
    share = st.floats(0, 1)
    points = draw(st.lists(st.tuples(share, share), min_size=1, max_size=12))
    sizes = [(draw(st.floats(0.02, 0.5)), draw(st.floats(0.02, 0.2))) for _ in points]
    return points, sizes


@given(marks_and_labels(), st.sampled_from([RIGHT_FIRST, BELOW_FIRST]))
def test_a_label_beside_its_mark_covers_no_mark_and_no_label_and_stays_in_the_panel(given_, sides):
    points, sizes = given_
    taken = [(x - 0.01, y - 0.01, x + 0.01, y + 0.01) for x, y in points]
    found = places(points, sizes, taken, (0.0125, 0.0125), sides)
    boxes = [box for box in found if box is not None]
    for number, (left, bottom, right, top) in enumerate(boxes):
        assert min(left, bottom) >= 0
        assert max(right, top) <= 1
        for other in (*taken, *boxes[:number]):
            assert right <= other[0] or other[2] <= left or top <= other[1] or other[3] <= bottom
    for (wide, high), box in zip(sizes, found, strict=True):
        assert box is None or (box[2] - box[0], box[3] - box[1]) == pytest.approx((wide, high))


def test_a_lone_label_stands_right_of_its_mark():
    (box,) = places([(0.5, 0.5)], [(0.2, 0.1)], [(0.49, 0.49, 0.51, 0.51)], (0.02, 0.02))
    assert box == pytest.approx((0.52, 0.45, 0.72, 0.55))


_SEEN_BY = {  # Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}


def lab(colour: str, matrix=None):
    """CIELAB (D65) of an sRGB colour, as an eye of the matrix sees it."""
    rgb = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    if matrix is not None:
        linear = np.clip(np.array(matrix) @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(to_xyz @ linear / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_neighbours_differ_in_grey_and_for_colour_blind_eyes():
    arms = [f"backend {number}" for number in range(8)]
    colours = [style.colour for style in arm_styles(arms, arms[0]).values()]
    for left, right in pairwise(colours):
        grey = abs(lab(left)[0] - lab(right)[0])
        assert grey > 4, (left, right, grey)
        for name, matrix in _SEEN_BY.items():
            assert np.linalg.norm(lab(left, matrix) - lab(right, matrix)) > 10, (left, right, name)


def test_a_backend_has_the_same_colour_whichever_others_ran():
    all_of_them = arm_styles(["eager", "onnxruntime", "openvino", "inductor", "xla"], "eager")
    for arms in (["eager", "xla"], ["eager", "mine", "xla", "inductor"], ["inductor", "openvino[streams=1]", "xla"]):
        styles = arm_styles(arms, arms[0])
        for arm in arms[1:]:
            if arm != "mine":
                assert styles[arm] == all_of_them[arm.partition("[")[0]]
        assert len({style.colour for style in styles.values()}) == len(arms)
    twice = arm_styles(["eager", "xla", "xla[fold=false]", "mine"], "eager")
    assert len({style.colour for style in twice.values()}) == 4


def test_styles_tell_backends_apart_without_colour():
    arms = [f"backend {number}" for number in range(14)]
    styles = arm_styles(arms, "backend 0")
    seen = {(style.colour, style.marker, str(style.line)) for style in styles.values()}
    assert len(seen) == 14
    first = [styles[arm] for arm in arms[1:8]]
    assert len({style.marker for style in first}) == len({style.hatch for style in first}) == 7


@given(st.lists(st.text("abc=[]", max_size=40), unique=True, max_size=6), st.integers(8, 20))
def test_names_that_differ_look_different_and_fit(names, length):
    found = shorts(names, length)
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    assert all(len(text) <= length for text in found.values())
    assert all(found[name] == short(name, length) for name in names if len(name) <= length)


def test_long_names_are_cut_where_they_differ():
    head, tail = "my_company.compilers:Backend[level=3,tile=", "x128,unroll=4]"
    found = shorts([f"{head}128{tail}", f"{head}256{tail}", "eager"])
    assert list(found.values()) == ["my_com…=128x128,u…", "my_com…=256x128,u…", "eager"]


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
