"""Cases one by one: what is told of each, the calls that are kept, and speed against other baselines."""

import json
from dataclasses import replace

import pytest

from steelyard.analysis import compare_run
from steelyard.core.comparison import Interval
from steelyard.render.page_data import page_data
from steelyard.tables import baselines, case_details
from steelyard.tables.case_details import cases
from steelyard.tables.cases import Cases
from steelyard.tables.facts import gather
from steelyard.tables.table import Cell, Column, Footnote, Row, Table
from tests.fakes.runs import Outcome, Shape, llm_points, synthetic_run

DECODE = llm_points(("decode",))
THREE = ("eager", "xla", "openvino")


def run_of(**options):
    return synthetic_run(**{"backends": THREE, "points": DECODE, "headline": "decode", "rounds": 8} | options)


def test_every_backend_at_every_point_is_a_case_with_an_address_of_its_own():
    run = run_of(points=llm_points(("decode", "prefill"), batches=(1, 2)))
    found = cases(gather(run))
    assert len(found.details) == 3 * 4
    assert len({detail.id for detail in found.details}) == 12
    assert {detail.id for detail in found.details} == {case.id for case in run.manifest.cases}
    assert found.details[0].point == "decode batch=1"  # the headline workload first


def test_a_case_tells_budget_execution_mode_options_and_proof():
    detail = cases(gather(run_of())).details[1]
    fields = {field.name: field.text for section in detail.sections for field in section.fields}
    assert fields["threads"] == "2"
    assert fields["tuning"] == "default"
    assert fields["execution mode: weights"] == "arguments"
    assert fields["compiled with: precision"] == "f32"
    assert detail.proof == "CPU, float32, 2 threads, placed CPU=97, 0 graph breaks, 0 recompiles"
    differing = {field.name for section in detail.sections for field in section.fields if field.differs}
    assert "execution mode: weights" in differing
    assert "tuning" not in differing


def test_a_failed_case_has_its_reason_and_log_and_no_calls():
    killed = Outcome(status="out_of_memory", reason="killed by the kernel", log_tail="x" * 9000 + "end")
    detail = cases(gather(run_of(statuses={("openvino", "decode"): killed}))).details[2]
    assert detail.status == "out_of_memory"
    assert detail.remark == "out of memory at steady: killed by the kernel"
    assert detail.log_tail.endswith("end")
    assert len(detail.log_tail) == case_details.MOST_LOG
    assert detail.launches == ()


def test_calls_are_those_of_the_run_in_the_order_of_time():
    run = run_of()
    detail = cases(gather(run)).details[1]
    results = {r.round: r for r in run.results if r.arm == "xla" and r.round > 0}
    assert [launch.round for launch in detail.launches] == sorted(results)
    for launch in detail.launches:
        measured = results[launch.round].measurement("latency_s")
        assert launch.values_s == tuple(measured.samples)
        assert launch.places == tuple(range(launch.total))
        assert (launch.total, launch.cut) == (len(measured.samples), measured.cut)


def test_long_launches_keep_their_extremes_and_the_loss_is_stated():
    run = run_of(shape=Shape(calls=500))
    found = cases(gather(run))
    assert 0 < found.kept < found.calls == 3 * 8 * 500
    assert f"{found.kept} of {found.calls} timed calls are in this page" in found.loss[0]
    results = {(r.arm, r.round): r for r in run.results}
    for detail in found.details:
        for launch in detail.launches:
            samples = results[detail.arm, launch.round].measurement("latency_s").samples
            assert (min(launch.values_s), max(launch.values_s)) == (min(samples), max(samples))
            assert [samples[place] for place in launch.places] == list(launch.values_s)


def test_cases_beyond_the_room_are_counted_and_said(monkeypatch):
    monkeypatch.setattr(case_details, "MOST_DETAILS", 3)
    found = cases(gather(run_of(points=llm_points(("decode",), batches=(1, 2)))))
    assert [bool(detail.sections) for detail in found.details] == [True] * 3 + [False] * 3
    assert [bool(detail.launches) for detail in found.details] == [True] * 3 + [False] * 3
    assert found.loss[0].startswith("3 of 6 cases are told in full")


def test_a_contaminated_round_has_calls_and_no_median():
    run = run_of(rounds=20)
    (segment,) = run.segments
    run = replace(run, segments=(replace(segment, disturbed={3: "a background load"}),))
    (launch,) = [item for item in cases(gather(run)).details[1].launches if item.round == 3]
    assert launch.median_s is None
    assert launch.remark == "contaminated round"
    assert launch.values_s


def test_another_baseline_never_judges_a_pair_twice():
    run = run_of(effect={"xla": 0.5, "openvino": 0.7})
    found = cases(gather(run))
    own = next(item for item in compare_run(run) if item.candidate == "xla")
    turned = found.against["xla", "eager", "decode", "latency_s"]
    assert turned.verdict == "slower"
    assert turned.speedup.value == pytest.approx(own.ratio.value)
    there = found.against["xla", "openvino", "decode", "latency_s"]
    back = found.against["openvino", "xla", "decode", "latency_s"]
    assert (there.verdict, back.verdict) == ("slower", "faster")
    assert there.speedup.value == pytest.approx(1 / back.speedup.value)
    assert "one family of 1 comparison of its own (Benjamini-Hochberg)" in found.family
    assert "every verdict is exploratory" in found.family


def test_a_case_without_speed_has_none_against_anybody():
    run = run_of(statuses={("xla", "decode"): Outcome(status="incorrect", stage="check")})
    found = cases(gather(run)).against
    assert found["xla", "openvino", "decode", "latency_s"].speedup.value is None
    assert found["openvino", "xla", "decode", "latency_s"].verdict == "no number"


def test_too_many_pairs_are_not_computed_and_the_reason_is_kept(monkeypatch):
    monkeypatch.setattr(baselines, "MOST_PAIRS", 0)
    found = cases(gather(run_of()))
    assert found.against == {}
    assert "more than a page computes" in found.switch
    assert cases(gather(run_of(backends=("eager", "xla")))).switch == "with two backends there is one comparison"


def test_a_row_of_the_data_is_the_printed_row():
    columns = (
        Column(key="backend", title="Backend"),
        Column(key="latency_s", title="Latency", kind="number", unit="s", shown="ms"),
    )
    cells = (
        Cell(text="xla", flags=("best",)),
        Cell(value=0.012, interval=Interval(low=0.011, high=0.013, confidence=0.95), notes=("a",)),
    )
    plain = (Cell(text="eager"), Cell(value=0.5))
    rows = (Row(cells=cells, tags={"arm": "xla", "point": "p"}), Row(cells=plain), Row(cells=plain))
    table = Table(
        name="t", title="T", caption="C", columns=columns, rows=rows, footnotes=(Footnote(mark="a", text="why"),)
    )
    text = page_data([table], Cases(), "eager", {"t": 2})
    data = json.loads(text)
    (found,) = data["tables"]
    texts = data["texts"]
    assert len(found["rows"]) == 2
    assert found["rows"][0] == [0, [texts.index("xla"), "", "best"], ["12.0", "[11.0, 13.0]", "", "a"]]
    assert found["rows"][1] == [1, texts.index("eager"), "500"]
    assert [texts[place] for place in data["about"][0]] == ["xla", "p", "", "", ""]
    assert texts[found["notes"]["a"]] == "why"
    assert len(texts) == len(set(texts))
