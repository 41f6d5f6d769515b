"""Which runs the native-path overhead takes, and the rows of synthetic runs of which the truth is known."""

import pytest

from steelyard.core.backend import Budget, Device
from steelyard.core.errors import UsageError
from steelyard.core.run import LeftOut
from tests.fakes.runs import Outcome, Shape, llm_points, synthetic_run
from tests.validation import native_overhead
from tests.validation.native_overhead import PAIRS

CPU = Device(kind="cpu", index=0, name="cpu", memory_bytes=None)
BUDGET = Budget(threads=2, cpus=(0, 1))
NATIVE = {each.ours: each.native for each in PAIRS}
QUIET = Shape(spread=0.004, round_spread=0.004)


def run(ours, factor, workloads=("prefill", "decode"), **given):
    """A run in which our path takes `factor` times as long as the native one."""
    native = NATIVE[ours]
    given = {"rounds": 12, "shape": QUIET, **given}
    return synthetic_run(backends=(ours, native), effect={native: 1 / factor}, points=llm_points(workloads), **given)


def asked(**given):
    return native_overhead.requests(CPU, BUDGET, window_s=0.5, rounds=20, seed=3, **given)


def test_one_run_for_each_runtime_with_ours_as_the_baseline():
    found = asked()
    assert [request.baseline for request in found] == ["eager", "inductor", "xla", "onnxruntime", "openvino"]
    for request in found:
        assert request.backends == (request.baseline, NATIVE[request.baseline])
        assert (request.rounds, request.window_s, request.seed, request.budget) == (20, 0.5, 3, BUDGET)
        assert request.selection.workloads in (("prefill", "decode"), ("generate",))


def test_backends_filter_and_unknown_ones_are_refused():
    (only,) = asked(backends=("xla",), size="small")
    assert (only.baseline, only.selection.size) == ("xla", "small")
    with pytest.raises(UsageError, match="did you mean 'openvino'"):
        asked(backends=("openvin",))


def test_no_runs_beside_a_cpu():
    cuda = Device(kind="cuda", index=0, name="gpu", memory_bytes=None)
    assert native_overhead.requests(cuda, BUDGET, window_s=0.5, rounds=20, seed=0) == ()


def test_the_estimate_grows_with_what_is_asked():
    assert native_overhead.minutes(asked(backends=("xla",))) < native_overhead.minutes(asked()) < 120
    assert native_overhead.minutes(()) == 0


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [
        (1.0, "equivalent"),
        (1.2, "ours costs more"),
        (0.8, "ours is faster"),
        (1.03, "inconclusive"),
        (0.97, "ours costs no more"),
    ],
)
def test_the_ratio_is_ours_over_native(factor, verdict):
    for row in native_overhead.rows([run("xla", factor)]):
        assert row.verdict == verdict
        assert row.ratio.value == pytest.approx(factor, rel=0.01)
        assert row.ours_s / row.native_s == pytest.approx(factor, rel=0.02)
        assert row.rounds == 12
        assert row.idiom["kv_cache"] == row.native_idiom["kv_cache"] == "in place"
        assert (row.reason == "") == (verdict in {"equivalent", "ours costs no more"})


@pytest.mark.parametrize(
    ("factor", "drift", "verdict"),
    [(1.2, 0.02, "ours costs more"), (1.2, 0.4, "inconclusive"), (0.97, 0.4, "inconclusive")],
)
def test_of_launches_that_never_settle_a_verdict_must_hold_at_every_level(factor, drift, verdict):
    for row in native_overhead.rows(
        [run("xla", factor, shape=Shape(spread=0.004, round_spread=0.004, steady="none", drift=drift))]
    ):
        assert row.verdict == verdict
        assert "12 of 12 launches not steady" in row.reason


def test_answers_give_prefill_and_decode_apart():
    rows = native_overhead.rows([run("openvino", 1.1, workloads=("generate",))])
    assert [(row.workload, row.metric) for row in rows] == [
        ("prefill, in an answer", "ttft_s"),
        ("decode, in an answer", "tpot_s"),
    ]
    assert all(row.ratio.value == pytest.approx(1.1, rel=0.01) for row in rows)


def test_rows_of_several_runs_stand_in_their_order():
    rows = native_overhead.rows([run("xla", 1.0), run("onnxruntime", 1.2)])
    assert [(row.runtime, row.workload) for row in rows] == [
        (name, workload) for name in ("xla", "onnxruntime") for workload in ("prefill", "decode")
    ]
    assert len(native_overhead.costs_more(rows)) == 2
    assert native_overhead.rows([synthetic_run(backends=("tensorrt", "xla"))]) == ()


def test_too_few_rounds_and_a_noisy_machine_give_numbers_and_no_verdict():
    for given, reason in (({"rounds": 4}, "4 of"), ({"grade": "F", "evidence": ("load 9",)}, "grade F")):
        for row in native_overhead.rows([run("xla", 1.5, **given)]):
            assert row.verdict == "inconclusive"
            assert reason in row.reason
            assert row.ratio.value == pytest.approx(1.5, rel=0.02)


def test_a_wrong_native_variant_has_no_speed():
    wrong = {(NATIVE["xla"], "decode"): Outcome(status="incorrect", stage="check", reason="logits are off")}
    prefill, decode = native_overhead.rows([run("xla", 1.5, statuses=wrong)])
    assert prefill.verdict == "ours costs more"
    assert (decode.verdict, decode.ratio, decode.ours_s) == ("not measured", None, None)
    assert "logits are off" in decode.reason


def test_a_native_variant_that_could_not_run_says_why():
    left = (LeftOut(backend=NATIVE["openvino"], reason="OpenVINO has no CPU plugin here"),)
    rows = native_overhead.rows(
        [synthetic_run(backends=("openvino",), points=llm_points(("generate",)), left_out=left)]
    )
    assert {(row.verdict, row.reason) for row in rows} == {("not measured", "OpenVINO has no CPU plugin here")}


def test_the_table_shows_every_row():
    rows = native_overhead.rows([run("xla", 1.2)])
    columns, cells = native_overhead.table(rows)
    assert set(native_overhead.RIGHT) < set(columns)
    assert [len(line) for line in cells] == [len(columns)] * 2
    assert cells[0][0] == "xla"
    assert cells[0][5] == native_overhead.ratio_text(rows[0])
