"""The least memory that values need in an order of execution."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.memory_profile import Value, largest_first, least_bytes, most_held, over_time, spans_of


def value(size, made, read_last, name="v"):
    return Value(name=name, operator="op", bytes=size, made=made, read_last=read_last)


def test_a_chain_needs_one_place_and_a_branch_two():
    assert least_bytes([value(8, 0, 1), value(8, 1, 2), value(8, 2, 3)]) == 8, "each overwrites the one before"
    assert least_bytes([value(8, 0, 3), value(4, 1, 2), value(2, 2, 3)]) == 12
    assert least_bytes([]) == 0
    assert least_bytes([value(8, 2, 2)]) == 0, "nothing reads it"


def test_without_the_last_read_there_is_no_bound():
    with pytest.raises(ValueError, match="when value 'w' is read last"):
        least_bytes([value(8, 0, None, "w")])


VALUES = st.lists(st.builds(value, st.integers(0, 100), st.integers(0, 12), st.integers(0, 12)), max_size=12)


@given(VALUES)
def test_it_is_the_largest_set_at_any_point(values):
    points = [sum(each.bytes for each in values if each.made <= at < (each.read_last or 0)) for at in range(13)]
    assert least_bytes(values) == max(points)


@given(VALUES)
def test_it_is_never_more_than_each_apart(values):
    assert least_bytes(values) <= sum(each.bytes for each in values)
    assert [each.bytes for each in largest_first(values, 3)] == sorted((each.bytes for each in values), reverse=True)[
        :3
    ]


def test_what_is_held_is_told_place_by_place():
    values = [value(8, 0, 3), value(4, 1, 2), value(2, 2, 5)]
    assert over_time(spans_of(values)) == (8, 12, 10, 2, 2)
    assert over_time(spans_of(values), most=2) == (12, 10), "in each part the most"
    assert over_time([]) == ()


@given(VALUES, st.integers(1, 20))
def test_the_most_of_all_parts_is_the_most_that_is_held(values, parts):
    spans = spans_of(values)
    found = over_time(spans, parts)
    assert max(found, default=0) == most_held(spans)
    assert len(found) <= parts
    whole = over_time(spans)
    assert all(any(each == other for other in whole) for each in found)
