"""Summaries, break-even and minimum detectable effects."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest

from steelyard.analysis import Summary, break_even, launch_medians, pilot, summaries
from steelyard.core.result import Place
from steelyard.core.run import Run
from steelyard.stats import planning
from tests.fakes.runs import BASE_S, Outcome, Shape, llm_points, synthetic_run

DECODE = llm_points(workloads=("decode",))


def small(**how) -> Run:
    return synthetic_run(**{"backends": ("eager", "xla"), "points": DECODE, "headline": "decode", **how})


def by_metric(run: Run, arm: str = "xla") -> Mapping[str, Summary]:
    return {item.metric: item for item in summaries(run) if item.arm == arm}


def test_a_timed_metric_is_summed_up_over_launches() -> None:
    shape = Shape(calls=143, cut=3, spread=0.02, round_spread=0.0, within=0.05)
    found = by_metric(small(rounds=40, shape=shape, effect={"xla": 0.5}))["latency_s"]
    assert found.estimate is not None
    assert found.estimate.interval is not None
    assert found.estimate.value == pytest.approx(BASE_S["decode"] / 2, rel=0.02)
    assert found.estimate.interval.low < found.estimate.value < found.estimate.interval.high
    assert (found.launches, found.samples, found.cut, found.state) == (40, 40 * 140, 3, "steady")
    assert found.between_cv == pytest.approx(0.02, rel=0.3)
    assert found.mad == pytest.approx(0.6745 * 0.05 * found.estimate.value, rel=0.1)
    assert found.lag1 == pytest.approx(0.0, abs=0.05)
    assert found.effective_samples is not None
    assert found.samples is not None
    assert 0.8 * found.samples < found.effective_samples <= found.samples
    assert found.steady == {"warmed": 40}
    assert found.statuses == {"ok": 41}
    assert found.p90 is not None
    assert found.p90.value == pytest.approx(found.estimate.value * np.exp(1.2816 * 0.05), rel=0.02)
    assert found.p90.interval is not None
    assert found.p99 is not None
    assert found.p99.interval is not None  # no launch has 1000 samples: counted over the samples of all launches
    assert found.p99.interval.low < found.estimate.value * np.exp(2.326 * (0.05**2 + 0.02**2) ** 0.5)
    assert found.p99.interval.high > found.p99.value > found.p99.interval.low > found.p90.interval.high
    assert found.p99.n == 40


def test_percentiles_are_absent_where_samples_do_not_support_them() -> None:
    found = by_metric(small(rounds=2, shape=Shape(calls=40)))["latency_s"]
    assert (found.p90, found.p99) == (None, None)
    assert found.estimate is not None
    assert found.estimate.interval is None
    assert "2 launches support no 95 % interval" in found.estimate.reason


def test_a_cold_start_is_one_value_without_an_interval() -> None:
    found = by_metric(small(rounds=8))
    cold, warm = found["compile_s/cold"], found["compile_s/warm"]
    assert cold.estimate is not None
    assert warm.estimate is not None
    assert (cold.launches, cold.estimate.n, cold.estimate.interval) == (1, 1, None)
    assert (warm.launches, warm.estimate.n) == (8, 8)
    assert warm.estimate.interval is not None
    assert cold.estimate.value > 1.5 * warm.estimate.value


def test_phases_and_memory_come_only_from_launches_in_which_the_case_ran_first() -> None:
    run = synthetic_run(backends=("eager", "xla"), rounds=9)
    first = [item for item in summaries(run) if item.metric == "compile_s/warm" and item.arm == "xla"]
    assert [item.launches for item in first] == [3, 3, 3]
    cold = {item.workload: item for item in summaries(run) if item.metric == "load_s/cold" and item.arm == "xla"}
    assert cold["generate"].launches == 1
    assert cold["decode"].estimate is None
    assert cold["decode"].reason == "it ran first in no cold launch"


def test_memory_is_by_phase_and_the_unknown_is_none_with_its_reason() -> None:
    found = by_metric(small(rounds=8))
    peak = found["host_peak_bytes/compile"]
    assert peak.estimate is not None
    assert (peak.unit, peak.state, peak.launches) == ("B", "warm", 8)
    unknown = found["device_peak_bytes/steady"]
    assert (unknown.estimate, unknown.launches) == (None, 0)
    assert unknown.reason == "no device memory apart from the host's"


def test_a_failed_arm_has_a_summary_with_its_reason() -> None:
    found = by_metric(small(statuses={("xla", "decode"): Outcome(status="crashed", stage="compile", reason="SIGSEGV")}))
    latency = found["latency_s"]
    assert (latency.estimate, latency.launches, latency.statuses) == (None, 0, {"crashed": 9})
    assert latency.reason == "xla: crashed in 9 of 9 launches: SIGSEGV"
    assert found["compile_s/warm"].reason == "xla: crashed in 9 of 9 launches: SIGSEGV"


def test_a_resumed_run_has_a_cold_value_of_each_segment() -> None:
    run = small(rounds=8)
    again = [
        dataclasses.replace(
            result, launch=f"again-{result.launch}", phases={k: 3 * v for k, v in result.phases.items()}
        )
        for result in run.results
        if result.round == 0
    ]
    (segment,) = run.segments
    second = dataclasses.replace(segment, index=1, rounds=(0,))
    resumed = dataclasses.replace(run, segments=(segment, second), results=(*run.results, *again))
    one, two = by_metric(run), by_metric(resumed)
    cold = two["compile_s/cold"]
    assert cold.estimate is not None
    assert cold.estimate.value == pytest.approx(2 * one["compile_s/cold"].estimate.value)
    assert (cold.launches, cold.estimate.n, cold.estimate.interval) == (2, 2, None)
    assert two["compile_s/warm"] == dataclasses.replace(one["compile_s/warm"], statuses={"ok": 10})


def test_every_round_of_the_cold_start_scenario_is_cold() -> None:
    run = small(rounds=6)
    cases = tuple(dataclasses.replace(case, scenario="cold-start") for case in run.manifest.cases)
    ids = {old.id: new.id for old, new in zip(run.manifest.cases, cases, strict=True)}
    results = tuple(dataclasses.replace(result, case_id=ids[result.case_id]) for result in run.results)
    cold = dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, cases=cases), results=results)
    found = by_metric(cold)
    assert found["compile_s/cold"].launches == 7
    assert "compile_s/warm" not in found


def test_launch_medians_are_those_of_the_steady_samples() -> None:
    run = small(rounds=3)
    (result,) = [item for item in run.results if (item.arm, item.round) == ("xla", 2)]
    expected = np.median(result.measurements[0].samples[3:])
    assert launch_medians(run)["xla", DECODE[0].key, "latency_s"][Place(2)] == pytest.approx(expected)
    assert sorted(launch_medians(run)["xla", DECODE[0].key, "latency_s"]) == [Place(1), Place(2), Place(3)]


def test_break_even_is_the_longer_start_over_the_time_saved() -> None:
    run = small(rounds=8, effect={"xla": 0.5})
    found = {(item.arm, item.state): item for item in break_even(run)}
    assert set(found) == {("xla", "cold"), ("xla", "warm")}

    def start(arm: str) -> float:
        phases = [item.phases for item in run.results if item.arm == arm and item.round == 0]
        return phases[0]["compile_s"] + phases[0]["first_run_s"]

    latency = {arm: by_metric(run, arm)["latency_s"].estimate for arm in ("eager", "xla")}
    assert latency["eager"] is not None
    assert latency["xla"] is not None
    expected = (start("xla") - start("eager")) / (latency["eager"].value - latency["xla"].value)
    assert found["xla", "cold"].calls == pytest.approx(expected)
    warm = found["xla", "warm"].calls
    assert warm is not None
    assert warm < expected


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"effect": {"xla": 1.5}}, "never: it is not faster per call"),
        ({"statuses": {("xla", "decode"): Outcome(status="incorrect", rounds=(2,))}}, "incorrect in 1 of 9 launches"),
        ({"statuses": {("eager", "decode"): Outcome(status="crashed", stage="load")}}, "crashed in 9 of 9 launches"),
    ],
)
def test_break_even_is_unknown_with_a_reason(how: dict, reason: str) -> None:
    for item in break_even(small(**how)):
        assert item.calls is None
        assert reason in item.reason


def test_who_starts_no_later_and_is_faster_is_ahead_at_once() -> None:
    run = small(rounds=8, effect={"xla": 0.5})
    turned = dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, baseline="xla"))
    eager = {item.state: item for item in break_even(turned) if item.arm == "eager"}
    assert eager["cold"].calls is None
    assert eager["cold"].reason == "it starts sooner but is slower per call"
    instant = [
        dataclasses.replace(result, phases={**result.phases, "compile_s": 0.0, "first_run_s": 0.01})
        for result in run.results
    ]
    assert {item.calls for item in break_even(dataclasses.replace(run, results=tuple(instant)))} == {0.0}


def test_a_pilot_tells_what_more_rounds_will_bring() -> None:
    shape = Shape(spread=0.02, round_spread=0.05, within=0.005)
    found = {item.arm: item for item in pilot(small(rounds=40, shape=shape), rounds=12)}
    xla = found["xla"]
    assert xla.spread == pytest.approx(0.02 * 2**0.5, rel=0.3)
    assert xla.spread_upper is not None
    assert xla.spread is not None
    assert xla.spread < xla.spread_upper < 1.3 * xla.spread
    assert (xla.pairs, xla.family, xla.family_size, xla.can_fire) == (40, "primary", 1, True)
    assert xla.rounds_needed is not None
    assert 8 <= xla.rounds_needed <= 16
    assert xla.detectable is not None
    assert 0.03 < xla.detectable < 0.1
    assert xla.calls == 1 or xla.calls is not None
    control = next(item for arm, item in found.items() if arm.endswith("(control)"))
    known = {"pairs": 40, "control_pairs": 40, "rounds": 12}
    assert xla.detectable == pytest.approx(planning.promised_effect(xla.spread, control.spread, **known))
    three = {item.arm: item for item in pilot(small(rounds=3, shape=shape), rounds=12)}["xla"]
    assert three.spread_upper is not None
    assert three.spread is not None
    assert three.spread_upper > 2 * three.spread, "three rounds know the spread badly, and say so"


def test_a_pilot_of_what_failed_says_why() -> None:
    broken = {("xla", "decode"): Outcome(status="crashed", reason="SIGSEGV")}
    found = {item.arm: item for item in pilot(small(rounds=3, statuses=broken), rounds=12)}["xla"]
    assert (found.spread, found.rounds_needed, found.detectable, found.calls) == (None, None, None, None)
    assert "SIGSEGV" in found.reason


def test_a_pilot_without_its_control_arm_promises_nothing_and_says_why() -> None:
    broken = {("eager (control)", "decode"): Outcome(status="crashed", reason="SIGSEGV")}
    found = {item.arm: item for item in pilot(small(rounds=3, statuses=broken), rounds=12)}["xla"]
    assert (found.detectable, found.rounds_needed is None) == (None, False)
    assert "no noise floor" in found.reason


def test_a_pilot_of_launches_that_never_settle_promises_nothing_and_says_why() -> None:
    unsteady = Shape(overrides={("xla", "decode"): "slowed"})
    found = {item.arm: item for item in pilot(small(rounds=3, shape=unsteady), rounds=12)}["xla"]
    assert (found.detectable, found.reason) == (None, "xla: 3 of 3 launches not steady (3 slowed)")


def test_large_families_cannot_fire_with_few_rounds() -> None:
    points = llm_points(workloads=("decode",), batches=range(1, 9))
    found = pilot(small(points=points, rounds=3), rounds=8)
    assert {item.can_fire for item in found if item.arm == "xla"} == {False}
    assert {item.detectable for item in found if item.arm == "xla"} == {None}
    assert {item.reason for item in found if item.arm == "xla"} == {"too few rounds for a verdict among 8 comparisons"}
