"""Comparisons between backends that leave the run's baseline out, and comparisons seen from the other side."""

import math
from dataclasses import replace

import pytest

from steelyard.analysis import compare_run
from steelyard.analysis.pairs import count_pairs, other_pairs, turned
from steelyard.analysis.sides import sides_of
from tests.fakes.runs import Outcome, Shape, llm_points, synthetic_run

DECODE = llm_points(("decode",))


def run_of(**options):
    return synthetic_run(
        **{
            "backends": ("eager", "xla", "openvino", "onnxruntime"),
            "points": DECODE,
            "headline": "decode",
            "rounds": 12,
        }
        | options
    )


def test_every_two_arms_without_the_baseline_are_compared_once():
    run = run_of()
    found = other_pairs(run)
    assert [(item.baseline, item.candidate) for item in found] == [
        ("xla", "openvino"),
        ("xla", "onnxruntime"),
        ("openvino", "onnxruntime"),
    ]
    assert len(found) == count_pairs(sides_of(run))
    assert {item.family for item in found} == {"exploratory"}
    assert {item.floor for item in found} == {compare_run(run)[0].floor}


def test_a_pair_is_the_estimate_over_its_paired_rounds():
    run = run_of(backends=("eager", "xla", "openvino"), effect={"xla": 0.5, "openvino": 0.6})
    (pair,) = other_pairs(run)
    sides = sides_of(run)
    medians = [sides.side(arm, DECODE[0].key).medians("latency_s") for arm in sides.arms[1:3]]
    logs = [math.log(medians[1][number] / medians[0][number]) for number in medians[0]]
    walsh = sorted((a + b) / 2 for i, a in enumerate(logs) for b in logs[i:])
    assert pair.ratio is not None
    assert math.log(pair.ratio.value) == pytest.approx((walsh[38] + walsh[39]) / 2)
    assert pair.verdict == "slower"


def test_the_pairs_leave_the_families_of_the_run_alone():
    few = compare_run(run_of(backends=("eager", "xla", "openvino")))
    run = run_of(backends=("eager", "xla", "openvino"))
    other_pairs(run)
    assert compare_run(run) == few


def test_a_machine_that_was_too_noisy_withholds_these_verdicts_too():
    assert {item.verdict for item in other_pairs(run_of(grade="F", evidence=("steal",)))} == {"withheld"}


def test_a_wrong_answer_has_no_speed_against_anybody():
    run = run_of(statuses={("xla", "decode"): Outcome(status="incorrect", stage="check")})
    verdicts = {(item.baseline, item.candidate): item.verdict for item in other_pairs(run)}
    assert verdicts["xla", "openvino"] == verdicts["xla", "onnxruntime"] == "incomparable"
    assert verdicts["openvino", "onnxruntime"] != "incomparable"


@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0])
def test_turned_twice_is_the_comparison_itself(effect):
    comparison = next(item for item in compare_run(run_of(effect={"xla": effect})) if item.candidate == "xla")
    there = turned(comparison)
    assert (there.baseline, there.candidate) == ("xla", "eager")
    expected = {"faster": "slower", "slower": "faster"}.get(comparison.verdict, comparison.verdict)
    assert there.verdict == expected
    assert comparison.ratio is not None
    assert there.ratio is not None
    assert there.ratio.value == pytest.approx(1 / comparison.ratio.value)
    assert there.ratio.interval is not None
    assert there.ratio.interval.low <= there.ratio.value <= there.ratio.interval.high
    back = turned(there)
    assert back.verdict == comparison.verdict
    assert back.reason == comparison.reason
    assert back.ratio is not None
    assert back.ratio.value == pytest.approx(comparison.ratio.value)


def test_the_interval_that_was_judged_turns_too():
    run = run_of(effect={"xla": 0.5}, shape=Shape(spread=0.003, within=0.01, steady="slowed", drift=0.2))
    comparison = next(item for item in compare_run(run) if item.candidate == "xla")
    there = turned(comparison)
    assert there.evidence["low_judged"] == pytest.approx(1 / comparison.evidence["high_judged"])
    assert there.evidence["high_judged"] == pytest.approx(1 / comparison.evidence["low_judged"])
    assert there.evidence["low_95"] == pytest.approx(1 / comparison.evidence["high_95"])


def test_the_reason_turns_with_the_verdict():
    comparison = compare_run(run_of())[0]
    reason = "faster if it were alone, but not among 3 primary comparisons"
    there = turned(replace(comparison, verdict="inconclusive", reason=reason))
    assert there.reason == reason.replace("faster", "slower")
