"""Verdicts within a run, on runs whose truth is known."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from steelyard.analysis import compare_run
from steelyard.analysis.sides import UNSTEADY_SHARE, Unsteady, sides_of
from steelyard.analysis.within import floor_at
from steelyard.core.case import CONTROL_SUFFIX
from steelyard.core.comparison import Comparison
from steelyard.core.run import LeftOut, Run
from tests.fakes.runs import Outcome, Shape, llm_points, synthetic_run

TWO = ("eager", "xla")
CONTROL = "eager" + CONTROL_SUFFIX
QUIET = Shape(spread=0.003, within=0.01)
DECODE = llm_points(workloads=("decode",))


def small(**how) -> Run:
    return synthetic_run(**{"backends": TWO, "points": DECODE, "headline": "decode", "shape": QUIET, **how})


def verdict(run: Run, candidate: str = "xla", metric: str = "latency_s") -> Comparison:
    (found,) = [item for item in compare_run(run) if item.candidate == candidate and item.metric == metric]
    return found


@pytest.mark.parametrize(
    ("effect", "expected"),
    [(0.5, "faster"), (0.95, "faster"), (1.0, "equivalent"), (1.02, "inconclusive"), (1.05, "slower"), (3.0, "slower")],
)
def test_the_verdict_is_the_truth(effect: float, expected: str) -> None:
    found = verdict(small(rounds=12, effect={"xla": effect}))
    assert found.verdict == expected
    assert found.ratio is not None
    assert found.ratio.interval is not None
    assert found.ratio.interval.low <= effect <= found.ratio.interval.high
    assert found.ratio.n == 12
    assert (found.factor, found.scope, found.family, found.baseline) == ("backend", "within run", "primary", "eager")
    assert found.p_value is not None
    assert found.p_adjusted is not None
    assert found.reason


@pytest.mark.parametrize("rounds", [1, 3])
def test_fewer_than_four_rounds_give_numbers_and_no_verdict(rounds: int) -> None:
    found = verdict(small(rounds=rounds, effect={"xla": 0.5}))
    assert (found.verdict, found.reason) == ("inconclusive", f"{rounds} of 4 rounds")
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(0.5, rel=0.03)
    assert found.p_value is None


@pytest.mark.parametrize("rounds", [4, 7])
def test_from_four_on_students_interval_decides(rounds: int) -> None:
    found = verdict(small(rounds=rounds, effect={"xla": 0.5}))
    assert (found.verdict, found.evidence["rounds"]) == ("faster", rounds)


def test_eight_rounds_are_enough() -> None:
    assert verdict(small(rounds=8, effect={"xla": 0.5})).verdict == "faster"


def test_round_zero_gives_no_steady_numbers() -> None:
    run = small(rounds=8, effect={"xla": 0.5})
    warm = next(result for result in run.results if result.round == 1)
    cold = [
        dataclasses.replace(result, measurements=warm.measurements) if result.round == 0 else result
        for result in run.results
    ]
    assert compare_run(dataclasses.replace(run, results=tuple(cold))) == compare_run(run)


def test_only_whole_rounds_with_both_sides_ok_give_pairs() -> None:
    lost = {("xla", "decode"): Outcome(status="crashed", reason="SIGKILL", rounds=(3, 4))}
    found = verdict(small(rounds=10, effect={"xla": 0.5}, statuses=lost))
    assert (found.verdict, found.evidence["rounds"]) == ("faster", 8)
    assert "xla: crashed in 2 of 11 launches: SIGKILL" in found.reason
    run = small(rounds=10, effect={"xla": 0.5}, segments=[(0, 1, 2, 3), (5, 6, 7, 8, 9, 10)])
    assert verdict(run).evidence["rounds"] == 9


def test_resumed_segments_are_one_run() -> None:
    run = small(rounds=10, effect={"xla": 0.5}, segments=[(0, 1, 2, 3), (0, 4, 5, 6, 7, 8, 9, 10)])
    assert verdict(run).evidence["rounds"] == 10


@pytest.mark.parametrize("status", ["incorrect", "fallback"])
def test_one_wrong_answer_takes_the_speed_away(status: str) -> None:
    wrong = {("xla", "decode"): Outcome(status=status, stage="check", reason="logits are off", rounds=(2, 5, 6))}
    found = verdict(small(rounds=12, effect={"xla": 0.5}, statuses=wrong))
    assert (found.verdict, found.ratio) == ("incomparable", None)
    assert found.reason == f"xla: {status} in 3 of 13 launches: logits are off"


def test_a_wrong_baseline_leaves_nothing_to_compare_with() -> None:
    wrong = {("eager", "decode"): Outcome(status="incorrect", rounds=(1,))}
    found = compare_run(small(rounds=12, statuses=wrong))
    assert {item.verdict for item in found} == {"incomparable"}
    assert all("eager: incorrect in 1 of 13 launches" in item.reason for item in found)


@pytest.mark.parametrize("status", ["unsupported", "out_of_memory", "timed_out", "crashed", "failed", "skipped"])
def test_what_never_ran_is_incomparable_with_its_reason(status: str) -> None:
    found = verdict(small(statuses={("xla", "decode"): Outcome(status=status, stage="compile", reason="why not")}))
    assert found.verdict == "incomparable"
    assert found.reason == f"xla: {status.replace('_', ' ')} in 9 of 9 launches: why not"


def test_what_was_never_launched_says_why() -> None:
    run = small(left_out=(LeftOut(backend="xla", reason="no artifact", point=DECODE[0].key),))
    bare = dataclasses.replace(run, results=tuple(result for result in run.results if result.arm != "xla"))
    assert (verdict(bare).verdict, verdict(bare).reason) == ("incomparable", "xla: no artifact")


@pytest.mark.parametrize("steady", ["slowed", "cyclic", "none"])
@pytest.mark.parametrize(
    ("effect", "drift", "expected"),
    [
        (0.5, 0.2, "faster"),
        (0.9, 0.2, "inconclusive"),
        (0.9, 0.02, "faster"),
        (1.1, 0.2, "inconclusive"),
        (1.5, 0.2, "slower"),
        (1.0, 0.2, "inconclusive"),
        (0.5, 0.9, "inconclusive"),
    ],
)
def test_without_a_steady_state_a_verdict_holds_at_every_level_or_is_none(
    steady: str, effect: float, drift: float, expected: str
) -> None:
    shape = dataclasses.replace(QUIET, steady=steady, drift=drift)
    found = verdict(small(shape=shape, effect={"xla": effect}))
    assert found.verdict == expected
    assert f"xla: 8 of 8 launches not steady (8 {steady})" in found.reason
    assert "wherever in their windows the unsteady launches are read" in found.reason
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(effect, rel=0.02), "what is shown is the estimate from all calls"
    assert found.evidence["low_judged"] < found.evidence["low_95"]
    assert found.evidence["high_judged"] > found.evidence["high_95"]
    assert found.remark == found.reason, "a verdict on unsteady launches does not stand without saying so"


def test_a_verdict_on_steady_launches_needs_no_remark() -> None:
    found = verdict(small(effect={"xla": 0.5}))
    assert (found.decided, found.remark, "low_judged" in found.evidence) == (True, "", False)


def test_the_control_arm_is_judged_at_every_level_too() -> None:
    shape = dataclasses.replace(QUIET, steady="slowed", drift=0.2)
    assert verdict(small(shape=shape), CONTROL).verdict == "inconclusive"
    assert verdict(small(), CONTROL).verdict == "equivalent"


@pytest.mark.parametrize(("spoilt", "expected"), [(1, "faster"), (6, "faster"), (7, "inconclusive")])
def test_some_unsteady_launches_are_named_and_kept_but_not_more_than_chance_gives(spoilt: int, expected: str) -> None:
    run = small(rounds=12, effect={"xla": 0.9}, shape=dataclasses.replace(QUIET, drift=0.2))
    results = []
    for result in run.results:
        if result.arm == "xla" and 1 <= result.round <= spoilt:
            shaken = tuple(dataclasses.replace(item, steady="none", cut=0) for item in result.measurements)
            result = dataclasses.replace(result, measurements=shaken)
        results.append(result)
    found = verdict(dataclasses.replace(run, results=tuple(results)))
    assert (found.verdict, found.evidence["rounds"]) == (expected, 12)
    assert f"xla: {spoilt} of 12 launches not steady ({spoilt} none)" in found.reason


@given(total=st.integers(1, 300), share=st.floats(0, 1))
def test_too_many_unsteady_launches_are_those_beyond_one_in_four(total: int, share: float) -> None:
    count = round(share * total)
    beyond = count == total or binom.sf(count - 1, total, UNSTEADY_SHARE) <= 0.05
    assert Unsteady(count, total, "").too_many == (count > 0 and beyond)


def test_too_short_launches_are_cut_together() -> None:
    shape = dataclasses.replace(QUIET, calls=12, steady="too_short", warm_up=5.0, cut=5)
    found = verdict(small(rounds=12, shape=shape, effect={"xla": 1.0}))
    assert found.verdict == "equivalent"
    slow_start = dataclasses.replace(shape, overrides={("xla", "decode"): "flat"})
    mixed = verdict(small(rounds=12, shape=slow_start, effect={"xla": 1.0}))
    assert mixed.verdict == "equivalent", "a warm-up on one side only must not become a difference"


def test_a_noisy_machine_withholds_every_verdict_and_keeps_the_numbers() -> None:
    run = small(rounds=12, effect={"xla": 0.5}, grade="F", evidence=("69 % of the time stolen",))
    found = compare_run(run)
    assert {item.verdict for item in found} == {"withheld"}
    assert all("noise grade F in segment 0: 69 % of the time stolen" in item.reason for item in found)
    assert verdict(run).ratio == verdict(small(rounds=12, effect={"xla": 0.5})).ratio


def test_of_much_evidence_the_worst_is_told_and_the_rest_counted() -> None:
    evidence = ("F: 69 % of the time stolen", "D: the clock is slow", "C: the clock differs")
    found = compare_run(small(rounds=12, grade="F", evidence=evidence))
    told = "noise grade F in segment 0: 69 % of the time stolen (and 2 more, at the segment)"
    assert {item.reason for item in found} == {told}


def test_one_noisy_segment_withholds_too_but_a_failure_stays_a_failure() -> None:
    run = small(
        rounds=12,
        segments=[range(7), range(7, 13)],
        statuses={("xla", "decode"): Outcome(status="crashed")},
    )
    noisy = dataclasses.replace(run.segments[1], noise=dataclasses.replace(run.segments[1].noise, grade="F"))
    run = dataclasses.replace(run, segments=(run.segments[0], noisy))
    assert verdict(run, CONTROL).verdict == "withheld"
    assert verdict(run).verdict == "incomparable"


def test_the_floor_is_the_far_end_of_the_control_interval() -> None:
    run = small(rounds=12, effect={"xla": 1.0, CONTROL: 1.04})
    control = verdict(run, CONTROL)
    assert control.ratio is not None
    assert control.ratio.interval is not None
    floor = floor_at(sides_of(run), DECODE[0].key, "latency_s")
    assert floor == pytest.approx(control.ratio.interval.high - 1)
    assert floor == control.floor == verdict(run).floor
    assert (control.factor, control.family, control.p_adjusted) == ("control", "exploratory", None)
    assert control.verdict == "slower", "a control arm that differs is a false alarm that must be seen"


def test_what_lies_below_the_floor_is_no_difference_and_the_margin_never_widens() -> None:
    off = {CONTROL: 1.06}
    near = verdict(small(rounds=12, effect={"xla": 1.05, **off}))
    assert near.verdict == "inconclusive"
    assert "noise floor" in near.reason
    same = verdict(small(rounds=12, effect={"xla": 1.0, **off}))
    assert same.verdict == "inconclusive", "equivalent cannot be given above the margin"
    assert same.reason.startswith("the 95 % interval lies within 2 %, but the noise floor is 6.")
    far = verdict(small(rounds=12, effect={"xla": 1.2, **off}))
    assert (far.verdict, "(noise floor)" in far.reason) == ("slower", True)


def test_without_a_control_arm_nothing_is_claimed() -> None:
    run = small(rounds=12, effect={"xla": 0.5}, control=False)
    assert floor_at(sides_of(run), DECODE[0].key, "latency_s") is None
    found = verdict(run)
    assert (found.verdict, found.floor) == ("inconclusive", None)
    assert "no control arm" in found.reason


def test_families_hold_what_they_should() -> None:
    run = synthetic_run(rounds=12)
    found = compare_run(run)
    assert len(found) == 5 * (1 + 1 + 3)
    primary = [item for item in found if item.family == "primary"]
    assert {(item.workload, item.metric) for item in primary} == {("generate", "latency_s")}
    assert {item.candidate for item in primary} == {"inductor", "xla", "onnxruntime", "openvino"}
    levels = [item.ratio.interval.confidence for item in primary if item.ratio and item.ratio.interval]
    assert levels == pytest.approx([0.9875] * 4), "all as clear as 12 rounds can say, hence all at Holm's first level"
    assert {item.metric for item in found if item.workload == "generate"} == {"latency_s", "ttft_s", "tpot_s"}


def test_a_family_too_large_for_its_rounds_claims_nothing() -> None:
    points = llm_points(workloads=("decode",), batches=(1, 2, 3, 4, 5, 6, 7, 8))
    found = [
        item
        for item in compare_run(small(points=points, rounds=8, effect={"xla": 0.5}))
        if item.family == "primary" and item.factor == "backend"
    ]
    assert {item.verdict for item in found} == {"inconclusive"}
    assert {item.reason for item in found} == {"faster if it were alone, but not among 8 primary comparisons"}
    enough = compare_run(small(points=points, rounds=9, effect={"xla": 0.5}))
    assert {item.verdict for item in enough if item.candidate == "xla"} == {"faster"}


def test_measurements_of_unlike_layers_are_not_compared() -> None:
    run = small(rounds=8)
    results = [
        dataclasses.replace(
            result, measurements=tuple(dataclasses.replace(item, layer="api_wall") for item in result.measurements)
        )
        if result.arm == "xla"
        else result
        for result in run.results
    ]
    found = verdict(dataclasses.replace(run, results=tuple(results)))
    assert found.verdict == "incomparable"
    assert "bound_wall for eager, api_wall for xla" in found.reason


def test_turning_the_sides_round_inverts_the_ratio() -> None:
    run = small(rounds=12, effect={"xla": 0.8})
    back = dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, baseline="xla"))
    there, again = verdict(run), verdict(back, "eager")
    assert there.ratio is not None
    assert again.ratio is not None
    assert there.ratio.value * again.ratio.value == pytest.approx(1.0)


@pytest.mark.statistical
def test_false_alarms_of_the_whole_rule() -> None:
    """Arms that do not differ, on a machine with launch noise and drift between rounds: claims must stay rare."""
    points = llm_points(workloads=("decode", "prefill"))
    shape = Shape(calls=9, steady="flat", cut=0, spread=0.03, round_spread=0.05)
    alarms = outside = total = 0
    for seed in range(150):
        run = synthetic_run(
            backends=("eager", "xla", "openvino"),
            points=points,
            headline="decode",
            rounds=10,
            shape=shape,
            effect={},
            seed=seed,
        )
        for item in compare_run(run):
            if item.factor == "control":
                continue
            total += 1
            alarms += item.verdict in ("faster", "slower")
            outside += not item.evidence["low_95"] <= 1.0 <= item.evidence["high_95"]
    assert total == 600
    assert alarms <= 6, alarms  # the margin makes them rarer than 5 % by far
    assert 0.02 * total <= outside <= 0.085 * total, outside


def test_numbers_do_not_depend_on_how_samples_are_held() -> None:
    run = small(rounds=8, effect={"xla": 0.5})
    as_arrays = [
        dataclasses.replace(
            result,
            measurements=tuple(
                dataclasses.replace(item, samples=np.array(item.samples)) for item in result.measurements
            ),
        )
        for result in run.results
    ]
    assert compare_run(dataclasses.replace(run, results=tuple(as_arrays))) == compare_run(run)


def test_what_was_launched_in_a_round_that_was_not_ended_is_not_called_never_launched() -> None:
    run = small(rounds=4)
    (segment,) = run.segments
    results = tuple(result for result in run.results if result.round == 4 or result.arm != "xla")
    torn = dataclasses.replace(run, segments=(dataclasses.replace(segment, rounds=(0, 1, 2, 3)),), results=results)
    (xla,) = (arm for arm in run.manifest.arms if arm.label == "xla")
    side = sides_of(torn).side(xla, DECODE[0].key)
    assert side.failures == "xla: launched only in a round that was not ended, which does not count"
    gone = dataclasses.replace(torn, results=tuple(result for result in results if result.arm != "xla"))
    assert sides_of(gone).side(xla, DECODE[0].key).failures == "xla: never launched"
