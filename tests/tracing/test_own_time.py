"""Own times: known answers, and what holds for any events whatever."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.core.trace import Recording
from steelyard.measure.own_time import own_times
from tests.tracing.recorded import recording


def own(found: Recording) -> list[float]:
    return own_times(found).own_ns.tolist()


def test_what_runs_inside_of_an_event_is_taken_from_it():
    found = recording([("outer", 0, 10), ("inner", 2, 5), ("innermost", 3, 4), ("next", 6, 9)])
    assert own(found) == [10 - 3 - 3, 3 - 1, 1, 3]


def test_an_instant_of_several_threads_is_divided_evenly():
    found = recording([("a", 0, 10, 0), ("b", 5, 20, 1)])
    assert own(found) == [5 + 2.5, 2.5 + 10]


def test_threads_are_divided_by_what_runs_innermost_in_each():
    found = recording([("a", 0, 8, 0), ("inner", 0, 4, 0), ("b", 0, 8, 1)])
    assert own(found) == [2, 2, 4]


def test_an_event_of_no_length_takes_nothing():
    assert own(recording([("a", 0, 10), ("nothing", 5, 5)])) == [10, 0]


def test_events_that_begin_together_are_nested_by_their_length():
    assert own(recording([("inner", 0, 4), ("outer", 0, 10)])) == [4, 6]


def test_overlaps_are_counted_beyond_the_clocks_step_and_no_time_counts_twice():
    found = recording([("a", 0, 10), ("b", 5, 15)])
    assert own(found) == [5, 10]
    assert own_times(found).overlaps == 1
    assert own_times(recording([("a", 0, 10), ("b", 5, 11)], resolution_ns=1)).overlaps == 0


def test_events_belong_to_the_call_that_they_begin_in():
    found = recording([("a", 5, 8), ("b", 12, 14), ("c", 25, 26), ("d", 40, 41)], calls=[(0, 10), (20, 30)])
    assert own_times(found).call.tolist() == [0, -1, 1, -1]


def test_without_events_there_is_no_time():
    assert own(recording([])) == []


spans = st.tuples(
    st.integers(min_value=0, max_value=200),
    st.integers(min_value=0, max_value=60),
    st.integers(min_value=0, max_value=3),
).map(lambda drawn: ("kernel", drawn[0], drawn[0] + drawn[1], drawn[2]))


@given(st.lists(spans, max_size=40))
@settings(deadline=None)
def test_own_times_add_up_to_the_time_in_which_anything_ran(events: list[tuple[str, int, int, int]]) -> None:
    found = own_times(recording(events)).own_ns
    ran = np.zeros(300, bool)
    for _, begin, end, _ in events:
        ran[begin:end] = True
    assert found.sum() == pytest.approx(ran.sum())
    assert (found >= 0).all()
    assert all(value <= end - begin + 1e-9 for value, (_, begin, end, _) in zip(found, events, strict=True))


@given(st.lists(spans, max_size=20), st.randoms())
@settings(deadline=None)
def test_the_order_in_which_events_are_told_changes_nothing(
    events: list[tuple[str, int, int, int]], random: object
) -> None:
    distinct = list(dict.fromkeys(events))
    shuffled = list(distinct)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    before = dict(zip(distinct, own(recording(distinct)), strict=True))
    after = dict(zip(shuffled, own(recording(shuffled)), strict=True))
    assert after == pytest.approx(before)
