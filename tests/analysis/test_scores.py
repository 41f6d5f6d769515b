"""Scores over many configurations: worked by hand, on runs of which the truth is known, their intervals in trials."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.analysis.scores import FAILED, Score, Tried, scores
from steelyard.core.closeness import BEYOND, LEVELS, allowed, has_levels
from steelyard.core.run import Run
from steelyard.measure.distance import level
from tests.fakes.runs import Outcome, llm_points, synthetic_run

TRUTH = {"inductor": 0.8, "xla|prefill": 0.5, "xla|decode": 2.0}
POINTS = llm_points(workloads=("prefill", "decode"), batches=(1, 2, 4, 8))


def run_of(**how) -> Run:
    return synthetic_run(**{"backends": ("eager", "inductor", "xla"), "effect": TRUTH, "points": POINTS, **how})


def with_levels(run: Run, by_arm: dict[str, int | None]) -> Run:
    """The same run, its answers as close as that."""

    def known(result):
        if result.correctness is None or result.arm not in by_arm:
            return result
        outputs = tuple(replace(check, level=by_arm[result.arm]) for check in result.correctness.outputs)
        return replace(result, correctness=replace(result.correctness, outputs=outputs))

    return replace(run, results=tuple(known(result) for result in run.results))


def tried(*speedups: float | None, levels: tuple[int, ...] = (), failures: tuple[str, ...] = ()) -> Score:
    """Configurations of one round: a speed-up, or None for a failure."""
    kinds = iter(failures)
    found = {}
    for number, speedup in enumerate(speedups):
        if speedup is None:
            found[str(number)] = Tried(failure=next(kinds))
        else:
            level_ = levels[number] if levels else LEVELS.start
            found[str(number)] = Tried(speedup=speedup, log_speedups={1: math.log(speedup)}, level=level_)
    return Score(arm="mine", tried=found, left_out={}, levels=True)


def test_s_and_es_of_an_example_worked_by_hand():
    # 2x at level -6, 4x at level -3, 0.5x at level -10, one wrong answer, one crash
    score = tried(2.0, 4.0, 0.5, None, None, levels=(-6, -3, -10), failures=("wrong", "other"))
    worked = {
        -10: (0.1 * 0.1 * 0.5 * 0.1 * 0.1) ** 0.2,  # only the third is as close
        -6: (2 * 0.1 * 0.5 * 0.1 * 0.1) ** 0.2,
        -4: (2 * 0.1 * 0.5 * 0.1 * 0.1) ** 0.2,
        -3: (2 * 4 * 0.5 * 0.1 * 0.1) ** 0.2,
        0: (2 * 4 * 0.5 * 0.1 * 0.1) ** 0.2,
        1: (2 * 4 * 0.5 * 0.1 * 0.1) ** 0.2,
        4: (2 * 4 * 0.5 * 0.1 * 0.1) ** 0.2,
    }
    for at, expected in worked.items():
        assert score.tolerance_score(at).value == pytest.approx(expected, rel=1e-12)
    forgiving = {
        0: worked[0],
        1: (2 * 4 * 0.5 * 1 * 0.1) ** 0.2,
        2: (2 * 4 * 0.5 * 0.1) ** 0.2,
        3: 4.0**0.2,
        4: 4.0**0.2,
    }
    for at, expected in forgiving.items():
        assert score.tolerance_score(at, forgiving=True).value == pytest.approx(expected, rel=1e-12)
    # the macro form of the same paper: alpha^lambda * b^(1 - lambda), alpha over the right ones
    alpha, share = (2 * 4 * 0.5) ** (1 / 3), 3 / 5
    assert score.tolerance_score(0).value == pytest.approx(alpha**share * FAILED ** (1 - share), rel=1e-12)


def test_shares_of_an_example_worked_by_hand():
    score = tried(2.0, 4.0, 0.5, None, failures=("other",))
    assert score.passed.value == 0.75
    assert [score.fast(p).value for p in (0.5, 1.0, 2.0, 3.9, 4.0)] == [0.5, 0.5, 0.25, 0.25, 0.0]
    assert score.below_one.value == pytest.approx(1 / 3)
    assert score.passed.interval.low < 0.75 < score.passed.interval.high
    assert tried(None, failures=("other",)).below_one is None
    assert Score(arm="mine", tried={}, left_out={}, levels=True).passed is None


def test_the_way_to_the_ceiling_is_counted_in_logarithms():
    score = tried(2.0, 2.0, 8.0, None, failures=("wrong",))
    assert score.closed({"0": 4.0, "1": 4.0}).value == pytest.approx(0.5)
    assert score.closed({"0": 4.0, "2": 16.0}).value == pytest.approx(4 / 6)
    assert tried(0.5).closed({"0": 2.0}).value == pytest.approx(-1.0)
    assert score.closed({"0": 0.9, "3": 5.0}) is None  # above the roof, or failed


@given(
    st.lists(st.tuples(st.floats(0.05, 20), st.sampled_from(LEVELS)), min_size=1, max_size=12),
    st.lists(st.sampled_from(["wrong", "other"]), max_size=5),
)
def test_es_is_never_below_s_and_both_rise_with_the_tolerance_where_nothing_slows(found, failures):
    speedups = [max(1.0, speedup) for speedup, _ in found]
    score = tried(*speedups, *[None] * len(failures), levels=tuple(at for _, at in found), failures=tuple(failures))
    strict = [score.tolerance_score(at).value for at in LEVELS]
    kind = [score.tolerance_score(at, forgiving=True).value for at in LEVELS]
    assert all(b >= a * (1 - 1e-12) for a, b in pairwise(strict))
    assert all(b >= a * (1 - 1e-12) for a, b in pairwise(kind))
    assert all(b >= a * (1 - 1e-12) for a, b in zip(strict, kind, strict=True))


def test_a_run_gives_the_shares_that_were_put_in():
    found = {item.arm: item for item in scores(run_of())}
    assert set(found) == {"inductor", "xla"}
    assert found["xla"].passed.value == found["inductor"].passed.value == 1.0
    assert found["xla"].fast(1.0).value == 0.5
    assert found["xla"].below_one.value == 0.5
    assert found["inductor"].fast(1.0).value == 1.0
    assert found["inductor"].fast(1.5).value == 0.0
    assert found["xla"].tolerance_score(-5).value == pytest.approx(1.0, rel=0.02)
    assert found["xla"].tolerance_score(-7).value == pytest.approx(FAILED)


def test_a_run_that_does_not_say_how_close_its_answers_are_has_no_s():
    run = with_levels(run_of(), dict.fromkeys(("eager", "eager (control)", "inductor", "xla")))
    assert [score.tolerance_score(-5) for score in scores(run)] == [None, None]


def test_failures_count_in_scores_and_keep_their_kind():
    statuses = {
        ("xla", "decode"): Outcome(status="incorrect", reason="logits are off"),
        ("inductor", "prefill"): Outcome(status="unsupported", stage="compile", reason="no rule"),
    }
    run = with_levels(run_of(statuses=statuses), {"inductor": -6, "xla": -4})
    found = {item.arm: item for item in scores(run)}
    assert {item.failure for item in found["xla"].tried.values()} == {"", "wrong"}
    assert {item.failure for item in found["inductor"].tried.values()} == {"", "other"}
    assert found["xla"].fast(1.0).value == found["inductor"].fast(1.0).value == 0.5
    strict, usual = found["xla"].tolerance_score(-5), found["xla"].tolerance_score(-4)
    assert strict.value == pytest.approx(FAILED)
    assert usual.value == pytest.approx(math.sqrt(2.0 * FAILED), rel=0.02)
    assert found["xla"].tolerance_score(1, forgiving=True).value == pytest.approx(math.sqrt(2.0), rel=0.02)
    assert found["inductor"].tolerance_score(2, forgiving=True).value == pytest.approx(
        math.sqrt(1.25 * FAILED), rel=0.02
    )


def test_where_the_baseline_has_no_time_the_configuration_is_left_out_and_named():
    statuses = {("eager", "decode"): Outcome(status="crashed", stage="compile", reason="it fell over")}
    for score in scores(run_of(statuses=statuses)):
        assert len(score.tried) == 4
        assert len(score.left_out) == 4
        assert all("eager: crashed in 9 of 9 launches: it fell over" in why for why in score.left_out.values())


def test_a_run_of_one_configuration_has_no_scores():
    assert scores(synthetic_run(points=llm_points(("decode",)), headline="decode")) == ()


@pytest.mark.parametrize("failing", [0.0, 0.2])
def test_the_interval_of_s_holds_the_truth_as_often_as_it_says(failing):
    """Configurations drawn from a population: speed-ups log-normal with noise between rounds, some of them failing."""
    rng = np.random.default_rng(20)
    truth = (1 - failing) * 0.3 + failing * math.log(FAILED)
    trials, hit = 300, 0
    for _ in range(trials):
        found = {}
        for number in range(30):
            if rng.random() < failing:
                found[str(number)] = Tried(failure="other")
            else:
                logs = rng.normal(0.3, 0.4) + rng.normal(0, 0.05, 8)
                by_round = dict(enumerate(logs.tolist(), start=1))
                found[str(number)] = Tried(speedup=math.exp(float(np.median(logs))), log_speedups=by_round)
        interval = Score(arm="a", tried=found, left_out={}, levels=True).tolerance_score(0).interval
        hit += interval.low <= math.exp(truth) <= interval.high
    # 95 % promised; below 91 % or above 98.7 % by chance in less than 1 of 1,000 such counts
    assert 0.91 <= hit / trials <= 0.99, hit / trials


@pytest.mark.parametrize(("dtype", "relative"), [("float32", 1.3e-6), ("float16", 1e-3), ("bfloat16", 1.6e-2)])
def test_level_minus_five_is_what_torch_asks_for(dtype, relative):
    import torch
    from torch.testing._comparison import default_tolerances

    (asked_relative, asked_absolute) = default_tolerances(getattr(torch, dtype))
    assert asked_relative == relative
    absolute, found = allowed(-5, dtype)
    assert absolute == pytest.approx(asked_absolute)
    assert found == pytest.approx(asked_relative, rel=1e-3)


def test_exact_types_have_no_levels():
    assert not has_levels("int64")
    assert not has_levels("bool")
    assert has_levels("float64")


@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e2, 1e2)), min_size=1, max_size=20),
    st.sampled_from(["float16", "bfloat16", "float32", "float64"]),
)
def test_the_level_is_the_lowest_at_which_all_elements_pass(elements, dtype):
    reference, apart = (np.array(column) for column in zip(*elements, strict=True))

    def passes(at: int) -> bool:
        absolute, relative = allowed(at, dtype)
        return all(abs(d) <= absolute + relative * abs(r) for r, d in zip(reference, apart, strict=True))

    found = level(apart, reference, dtype)
    assert found == next((at for at in LEVELS if passes(at)), BEYOND)
    assert level(apart, reference, dtype, lowest=min(found, LEVELS[-1])) == found
