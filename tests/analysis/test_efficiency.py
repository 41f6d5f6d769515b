"""What a run reached of known ceilings: shares that follow from its times, doubts above a ceiling, goodput."""

from dataclasses import replace

import pytest

from steelyard.analysis.work_per_call import traffic_bytes
from steelyard.core.profile import ComputedPeak
from steelyard.tables.facts import gather
from tests.fakes.ceilings import BANDWIDTH, PEAK, held_against, synthetic_ceilings
from tests.fakes.runs import Outcome, llm_points, synthetic_run

BACKENDS = ("eager", "xla")


def facts_of(ceilings, *, workload="decode", rounds=10, **options):
    run = synthetic_run(backends=BACKENDS, points=llm_points((workload,)), headline=workload, rounds=rounds, **options)
    return gather(held_against(run, ceilings))


def reached(facts, arm):
    return facts.efficiency(next(a for a in facts.arms if a.label == arm), facts.points[0])


def test_a_decode_step_is_held_against_the_bandwidth_of_memory():
    facts = facts_of(synthetic_ceilings())
    found, seconds = reached(facts, "eager"), facts.estimate(facts.arms[0], facts.points[0], "latency_s").value
    moved = traffic_bytes(facts.points[0], None)
    assert found.level == "memory"
    assert found.bytes_per_s.value == pytest.approx(moved / seconds)
    assert found.flop_per_s.value == pytest.approx(facts.points[0].work.flop / seconds)
    assert found.intensity == pytest.approx(facts.points[0].work.flop / moved)
    assert found.fraction is found.memory
    assert found.fraction.estimate.value == pytest.approx(moved / seconds / BANDWIDTH["memory"])
    interval = found.fraction.estimate.interval
    assert interval.low < found.fraction.estimate.value < interval.high
    assert interval.confidence == pytest.approx(0.90)
    assert found.suspicious == ""


def test_a_prefill_is_held_against_the_peak_of_its_dtype():
    facts = facts_of(synthetic_ceilings(peak={"float32": 400e9, "float64": 1e9}), workload="prefill")
    found = reached(facts, "eager")
    assert found.fraction is found.compute
    assert found.fraction.of.per_s == 400e9
    assert found.fraction.estimate.value == pytest.approx(found.flop_per_s.value / 400e9)


def test_what_lies_above_its_ceiling_is_suspicious_and_says_of_which():
    found = reached(facts_of(synthetic_ceilings(bandwidth={"memory": 4e9})), "xla")
    assert "times its ceiling (measured: read by native, memory)" in found.suspicious
    assert found.fraction.estimate.interval.low > 1
    at_it = reached(facts_of(synthetic_ceilings(bandwidth={"memory": 21.3e9})), "xla")
    assert at_it.suspicious == ""


def test_a_noisy_measurement_makes_nobody_suspicious_and_no_share():
    found = reached(facts_of(synthetic_ceilings(bandwidth={"memory": 1e9}, grade="F")), "xla")
    assert found.fraction is None
    assert found.suspicious == ""
    assert found.bytes_per_s is not None


def test_without_ceilings_rates_and_intensity_are_there_all_the_same():
    found = reached(facts_of(None), "eager")
    assert found.flop_per_s is not None
    assert found.intensity is not None
    assert (found.compute, found.memory, found.fraction, found.utilisation) == (None, None, None, None)


def test_a_computed_peak_gives_the_utilisation_and_the_roof_where_nothing_was_measured():
    facts = facts_of(synthetic_ceilings())
    peak = ComputedPeak(per_s=2.2e11, dtype="float32", assumptions="2 cores x 3.4 GHz")
    facts = gather(replace(facts.run, manifest=replace(facts.run.manifest, computed_peaks=(peak,))))
    found = reached(facts, "eager")
    assert found.utilisation.of.origin == "computed"
    assert found.utilisation.estimate.value == pytest.approx(found.flop_per_s.value / 2.2e11)
    assert found.compute.of.per_s == PEAK["float32"]
    alone = gather(replace(facts.run, manifest=replace(facts.run.manifest, ceilings=None)))
    assert reached(alone, "eager").fraction.of.origin == "computed"


def test_a_wrong_answer_has_reached_nothing():
    statuses = {("xla", "decode"): Outcome(status="incorrect", stage="check", reason="logits are off")}
    found = reached(facts_of(synthetic_ceilings(), statuses=statuses), "xla")
    assert (found.flop_per_s, found.bytes_per_s, found.fraction) == (None, None, None)
    assert "logits are off" in found.reason


def test_goodput_is_the_product_of_its_shares():
    statuses = {("xla", "decode"): Outcome(status="crashed", reason="signal 11", rounds=(2, 5))}
    facts = facts_of(synthetic_ceilings(), statuses=statuses)
    arm = next(a for a in facts.arms if a.label == "xla")
    made = facts.goodput(arm, facts.points[0])
    assert made.availability.value == pytest.approx(9 / 11)
    assert made.availability.interval.low < 9 / 11 < made.availability.interval.high
    assert 0 < made.steady.value < 1
    assert made.goodput.value == pytest.approx(made.availability.value * made.steady.value * made.ceiling.value)
    assert made.goodput.interval.low < made.goodput.value < made.goodput.interval.high
    assert made.goodput.interval.confidence == pytest.approx(0.80)


def test_goodput_without_a_ceiling_is_absent_and_its_other_shares_are_told():
    facts = facts_of(None)
    made = facts.goodput(facts.arms[0], facts.points[0])
    assert made.goodput is None
    assert made.reason == "", "the ceiling alone is missing"
    assert made.availability.value == 1


def test_the_dtype_is_the_one_that_the_runtime_says_it_computes_in():
    facts = facts_of(synthetic_ceilings())
    told = tuple(
        replace(result, proof=replace(result.proof, dtype="float64")) if result.proof is not None else result
        for result in facts.run.results
    )
    found = reached(gather(replace(facts.run, results=told)), "eager")
    assert found.dtype == "float64"
    assert found.compute.of.per_s == PEAK["float64"]
