"""What two launches that took turns together say of each other, and that the launch stays the unit."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.analysis import compare_run
from steelyard.analysis.factor import find_factor
from steelyard.analysis.sides import Launched, sides_of
from steelyard.analysis.turn_ratios import log_levels, log_ratio, together
from steelyard.analysis.within import pair
from steelyard.core.errors import UsageError
from steelyard.core.result import Measurement, Place
from steelyard.core.run import Run
from steelyard.core.turn_rule import FEWEST_CALLS, first_call_ratio, first_calls
from steelyard.measure.steady import judge
from tests.fakes.runs import synthetic_run

factors = st.floats(0.1, 10.0)
turns_of = st.lists(st.lists(st.floats(1e-4, 1e-2), min_size=1, max_size=9), min_size=2, max_size=9)


def launched(turns: list[list[float]], *, begun_s: float = 0.0, gap_s: float = 1.0, steady="flat") -> Launched:
    """A launch with these turns, each a second after the one before."""
    samples = [value for turn in turns for value in turn]
    firsts = tuple(int(place) for place in np.cumsum([0, *map(len, turns)])[:-1])
    starts = [number * gap_s + sum(turn[:place]) for number, turn in enumerate(turns) for place in range(len(turn))]
    measurement = Measurement(
        metric="latency_s",
        layer="bound_wall",
        samples=tuple(samples),
        starts_s=tuple(starts),
        cut=0,
        steady=steady,
        stop="time",
        turns=firsts,
        begun_s=begun_s,
    )
    kept = np.asarray(measurement.steady_samples)
    return Launched(Place(1), float(np.median(kept)), 0, measurement, kept)


@given(turns_of, factors)
def test_a_factor_of_one_launch_is_the_ratio(turns: list[list[float]], factor: float) -> None:
    slower = [[factor * value for value in turn] for turn in turns]
    assert log_ratio(launched(turns), launched(slower, begun_s=0.5)) == pytest.approx(math.log(factor), abs=1e-9)


@given(turns_of, turns_of)
def test_the_ratio_of_the_two_the_other_way_round_is_its_inverse(one, other) -> None:
    before, after = launched(one), launched(other, begun_s=0.5)
    assert log_ratio(before, after) == pytest.approx(-log_ratio(after, before), abs=1e-9)


@given(turns_of, st.lists(factors, min_size=9, max_size=9), factors)
def test_what_both_meet_in_the_same_turns_leaves_the_ratio_alone(turns, shared, factor: float) -> None:
    one = [[by * value for value in turn] for turn, by in zip(turns, shared, strict=False)]
    other = [[factor * value for value in turn] for turn in one]
    ratio = log_ratio(launched(one, steady="none"), launched(other, begun_s=0.5, steady="none"))
    assert ratio == pytest.approx(math.log(factor), abs=1e-9)
    for level in log_levels(launched(one, steady="none"), launched(other, begun_s=0.5, steady="none")):
        assert level == pytest.approx(math.log(factor), abs=1e-9), "nor does it count as levels of either"


def test_launches_one_after_the_other_have_the_ratio_of_their_medians() -> None:
    one, other = [[1e-3] * 6, [9e-3] * 2], [[2e-3] * 6, [2e-3] * 2]
    early, late = launched(one), launched(other, begun_s=60.0)
    assert not together(early, late)
    assert log_ratio(early, late) == pytest.approx(math.log(2))
    assert log_ratio(early, launched(other, begun_s=0.5)) == pytest.approx((math.log(2) + math.log(2 / 9)) / 2)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=9))
def test_the_first_call_is_left_out_where_a_turn_has_enough(lengths: list[int]) -> None:
    firsts = [int(place) for place in np.cumsum([0, *lengths])[:-1]]
    samples = [1.0] * sum(lengths)
    for place in firsts:
        samples[place] = 3.0
    left_out = first_calls(firsts, len(samples))
    assert set(left_out) == {place for place, length in zip(firsts, lengths, strict=True) if length >= FEWEST_CALLS}
    assert first_call_ratio(samples, firsts) == (3.0 if left_out else None)
    assert first_calls((), len(samples)) == ()


def test_a_slow_first_call_of_each_turn_is_no_part_of_what_is_judged() -> None:
    source = np.random.default_rng(1)
    samples = source.normal(1.0, 0.003, 80)
    samples[:16] *= 1.5  # a warm-up
    whole = judge(samples.tolist())
    turns = tuple(range(0, 80, 8))
    samples[list(turns)] *= 3
    found = judge(samples.tolist(), turns)
    assert (whole.steady, found.steady) == ("warmed", "warmed")
    assert 16 <= found.cut <= 20
    assert found.cut not in turns


def in_turns(run: Run) -> Run:
    """The run as if its warm launches had taken turns of ten calls."""
    results = [
        dataclasses.replace(
            result,
            measurements=tuple(
                dataclasses.replace(entry, turns=tuple(range(0, len(entry.samples), 10)), begun_s=0.0)
                for entry in result.measurements
            ),
        )
        for result in run.results
    ]
    launches = [dataclasses.replace(record, ran_s=1.0, stopped_s=1.0) for record in run.launches]
    return dataclasses.replace(run, results=tuple(results), launches=tuple(launches))


def test_turns_are_no_launches() -> None:
    run = in_turns(synthetic_run(rounds=9))
    sides = sides_of(run)
    key = next(iter(sides.points))
    pairs = pair(sides.side(sides.baseline, key), sides.side(sides.arms[1], key), "latency_s")
    assert len(pairs.log_ratios) == len(pairs.rounds) == 9
    assert all(found.ratio is None or found.ratio.n == 9 for found in compare_run(run))


def test_a_run_in_turns_and_one_without_are_not_alike() -> None:
    run = synthetic_run(rounds=8)
    with pytest.raises(UsageError, match="launches of a round: one after the other -> in turns"):
        find_factor([run], [in_turns(run)])
