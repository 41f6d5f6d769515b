"""What quantization gains and costs beside the plain backend, in verdicts, errors and bytes that are told elsewhere."""

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from steelyard.reports.figures.pareto import frontier

from steelyard import plugins
from steelyard.core.backend import parse_backend
from steelyard.core.run import Run
from steelyard.render.drawing import picture
from steelyard.tables.build import build
from tests.fakes import quantized as fake
from tests.fakes.runs import llm_points, synthetic_run

INT8, INT4 = "onnxruntime[int8]", "onnxruntime[int4_weights]"
EFFECT = {"onnxruntime": 0.8, INT8: 0.4, INT4: 0.8}


def made(backends=("eager", "onnxruntime", INT8, INT4), workloads=("decode",), headline="decode") -> Run:
    run = synthetic_run(backends=backends, effect=EFFECT, points=llm_points(workloads), headline=headline)
    return fake.quantized(run)


def rows_of(run: Run, name: str):
    table = build(run).table(name)
    keys = [column.key for column in table.columns]
    return table, [dict(zip(keys, row.cells, strict=True)) for row in table.rows]


def test_a_quantized_backend_stands_beside_itself_without_quantization():
    table, rows = rows_of(made(), "quantization")
    assert [row["backend"].text for row in rows] == [INT8, INT4]
    assert rows[0]["verdict"].text == "faster"
    assert rows[1]["verdict"].text in ("equivalent", "inconclusive")  # it brought nothing
    assert rows[0]["speedup"].value == pytest.approx(2.0, rel=0.03)
    assert rows[0]["speedup"].interval is not None
    assert [row["error"].value for row in rows] == [fake.ERROR["int8"], fake.ERROR["int4_weights"]]
    assert [row["smaller"].value for row in rows] == pytest.approx([4.0, 7.0], rel=1e-6)
    assert rows[0]["weight_bytes"].value == 538_060_800 // 4
    assert rows[0]["memory"].value > 0
    assert all("approximate" in row["backend"].flags for row in rows)
    assert "tokens" not in [column.key for column in table.columns]


def test_the_tolerance_of_a_quantization_goes_for_that_backend_alone():
    data = build(made())
    speed = data.table("speed-decode")
    notes = {note.mark: note.text for note in speed.footnotes}
    told = {row.tags["arm"]: " ".join(notes[mark] for cell in row.cells for mark in cell.notes) for row in speed.rows}
    assert "tolerance 0.2, stated by the quantization int8" in told[INT8]
    assert "tolerance 0.5, stated by the quantization int4_weights" in told[INT4]
    assert "stated by" not in told["eager"] + told["onnxruntime"]


def test_of_generated_text_the_share_of_the_same_tokens_is_told():
    _, rows = rows_of(made(workloads=("decode", "generate"), headline="generate"), "quantization")
    shares = {row["point"].text: row["tokens"].value for row in rows}
    assert shares == {"generate": fake.AGREEMENT, "decode": None}


def test_without_the_plain_backend_in_the_run_nothing_is_compared_and_it_is_said():
    table, rows = rows_of(made(backends=("eager", INT8)), "quantization")
    assert [row["verdict"].text for row in rows] == ["not compared"]
    assert rows[0]["speedup"].value is None
    assert table.notes == (f"{INT8}: without quantization it is no part of the run.",)
    assert rows[0]["smaller"].value == pytest.approx(4.0)  # against the weights by their shapes


def test_layers_stand_the_worst_first_with_their_places():
    _, rows = rows_of(made(), "quantization-layers")
    assert {row["program"].text for row in rows} == {"onnx@int8"}
    assert [row["layer"].text for row in rows] == ["node_MatMul_2", "node_MatMul_3", "node_MatMul_1"]
    assert [row["place"].value for row in rows] == [2, 3, 1]


def test_a_run_without_quantization_has_no_such_table_and_no_figure():
    data = build(made(backends=("eager", "onnxruntime")))
    assert not [table.name for table in data.tables if table.name.startswith(("quantization", "pareto"))]
    assert "NAME[int8]" in picture(plugins.figures()["pareto"], data, saved=False).reason


def test_the_figure_has_every_backend_and_says_which_lie_on_the_line():
    item = picture(plugins.figures()["pareto"], build(made()))
    rows = list(csv.DictReader(io.StringIO(item.csv)))
    assert {row["backend"] for row in rows if row["on_the_line"] == "True"} == {INT8, "onnxruntime"}
    assert {row["backend"] for row in rows} == {"eager", "onnxruntime", INT8, INT4}


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.tuples(st.floats(0.1, 10), st.floats(1e-6, 1)), min_size=1))
def test_those_on_the_line_are_beaten_by_none_and_all_others_are_by_one(places):
    line = set(frontier(places))
    for name, (latency, error) in places.items():
        better = [
            other for other, (x, y) in places.items() if x <= latency and y <= error and (x, y) != (latency, error)
        ]
        if name in line:
            assert not better
        else:
            assert better or any(places[other] == places[name] for other in line)


def test_a_case_is_held_to_the_wider_of_what_workload_and_quantization_state():
    run = synthetic_run(backends=("eager", INT8), points=llm_points(("decode",)), headline="decode")
    case = next(case for case in run.manifest.cases if case.backend == parse_backend(INT8))
    assert case.stated == "0.2, stated by the quantization int8"
    assert replace(case, point=replace(case.point, tolerance=0.3)).stated == "0.3, stated by the workload"
    assert replace(case, point=replace(case.point, tolerance=0.1)).stated == "0.2, stated by the quantization int8"
    assert replace(case, budget=replace(case.budget, tolerance=0.01)).stated == "0.01, stated by --tolerance"
