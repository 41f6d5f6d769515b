"""The curve of a search, and what the search was worth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.tuning import Part, Step, Trial, area, best_so_far, break_even, reached, winners


def trial(part, latency_s, cost_s=1.0):
    return Trial(candidate=f"{part} {latency_s}", part=part, cost_s=cost_s, latency_s=latency_s)


ONE, TWO = Part(name="one"), Part(name="two", calls=3)


def test_a_call_is_the_sum_of_its_parts_each_as_often_as_it_is_made():
    trials = [trial("one", 4.0), trial("two", 2.0), trial("one", None), trial("one", 1.0), trial("two", 5.0)]
    assert best_so_far((ONE, TWO), trials) == (
        Step(2, 2.0, 10.0),
        Step(3, 3.0, 10.0),
        Step(4, 4.0, 7.0),
        Step(5, 5.0, 7.0),
    )
    assert {name: each.latency_s for name, each in winners(trials).items()} == {"one": 1.0, "two": 2.0}


def test_the_area_of_a_curve_counted_by_hand():
    # Nothing for 2 s, a quarter of the final speed for 4 s, all of it for the last 4 of 10 s.
    steps = (Step(1, 2.0, 8.0), Step(2, 6.0, 2.0))
    assert area(steps, 10.0) == pytest.approx((0 * 2 + 0.25 * 4 + 1 * 4) / 10)
    assert area((), 10.0) is None


def test_what_is_near_the_end_and_when_it_has_paid():
    steps = (Step(1, 1.0, 8.0), Step(2, 2.0, 2.05), Step(9, 9.0, 2.0))
    assert reached(steps) == steps[1]
    assert reached(()) is None
    assert break_even(60.0, 0.5, 0.2) == pytest.approx(200.0)
    assert break_even(60.0, 0.2, 0.2) is None


LATENCIES = st.lists(st.one_of(st.none(), st.floats(1e-6, 1e3)), max_size=30)


@given(LATENCIES, st.lists(st.floats(0.01, 10), min_size=30, max_size=30))
def test_the_best_never_gets_worse_and_its_area_is_a_share(latencies, costs):
    trials = [trial("one", latency, cost) for latency, cost in zip(latencies, costs, strict=False)]
    steps = best_so_far((ONE,), trials)
    found = [step.latency_s for step in steps]
    assert found == sorted(found, reverse=True)
    assert len(steps) == len(trials) - next((at for at, each in enumerate(latencies) if each is not None), len(trials))
    share = area(steps, sum(each.cost_s for each in trials))
    assert share is None or -1e-9 <= share <= 1 + 1e-9
